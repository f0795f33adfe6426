/** What holds between the documents of a mesh, whoever reads them: what a route names must be there. */
import { placeOf } from "./fields.ts";
import { coveringIndex, resolveHost, serviceOfHost } from "./host-names.ts";
import { fault, warn, within } from "./place.ts";
import { type Policies, ROOT_NAMESPACE } from "./policy-set.ts";
import { destinationsOf } from "./virtual-service.ts";

/** `areRulesComplete`: no DestinationRule was left out because of a fault of its own, which would make routes to its subsets faults too. */
export function checkReferences(policies: Policies, areRulesComplete: boolean): void {
	const entryHosts = new Set(policies.serviceEntries.flatMap(({ spec }) => spec.hosts));
	const wholeName = (host: string, namespace: string): string =>
		// Without a registry `reviews.shop` may be a service or a name of the outside: both sides of a comparison take it as a service.
		resolveHost(host, namespace, (name) => entryHosts.has(name) || serviceOfHost(name) !== undefined);

	const rules = policies.destinationRules.map((rule) => ({ rule, host: wholeName(rule.spec.host, rule.namespace) }));
	const covering = coveringIndex(rules);
	for (const service of policies.virtualServices) {
		for (const destination of destinationsOf(service.spec)) {
			if (destination.subset === undefined || !areRulesComplete) continue;
			const host = wholeName(destination.host, service.namespace);
			const fitting = covering(host);
			const subsets = fitting.flatMap(({ rule }) => (rule.spec.subsets ?? []).map(({ name }) => name));
			if (subsets.includes(destination.subset)) continue;
			const there =
				fitting.length === 0
					? `there is no DestinationRule for ${host}`
					: `its subsets are ${subsets.join(", ") || "none"}`;
			const at = within(placeOf(destination, service.at), "subset");
			fault(at, `no DestinationRule gives ${host} the subset ${destination.subset}: ${there}`);
		}
	}
	for (const { namespace, spec, at } of policies.peerAuthentications) {
		if (namespace !== ROOT_NAMESPACE || (spec.selector?.size ?? 0) === 0) continue;
		const message = `in the root namespace ${ROOT_NAMESPACE} a selector selects nothing: put the policy into the workload's namespace`;
		warn(within(within(at, "spec"), "selector"), message);
	}
	for (const { rule, host } of rules) {
		const owner = serviceOfHost(host)?.namespace;
		if (owner === undefined || owner === rule.namespace || rule.namespace === ROOT_NAMESPACE) continue;
		warn(
			within(within(rule.at, "spec"), "host"),
			`${host} belongs to the namespace ${owner}: from ${rule.namespace} this rule is only for callers in ${rule.namespace}`,
		);
	}
}

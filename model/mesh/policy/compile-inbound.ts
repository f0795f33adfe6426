/** What a proxy takes in: the mode of mTLS and the authorisation that PeerAuthentication and AuthorizationPolicy ask of a workload. */
import type { AuthorizationRule, InboundConfig, MtlsMode, Workload } from "../proxy-config.ts";
import { type AuthorizationPolicy, rulesOf } from "./authorization-policy.ts";
import type { PeerAuthentication } from "./peer-authentication.ts";
import { warn } from "./place.ts";
import { type Policies, type Policy, ROOT_NAMESPACE } from "./policy-set.ts";
import { hasLabels } from "./values.ts";

export function compileInbound(policies: Policies, workload: Workload): InboundConfig {
	return {
		mtls: compileMtls(policies.peerAuthentications, workload),
		authorization: compileAuthorization(policies.authorizationPolicies, workload),
	};
}

const MODES: Readonly<Record<"DISABLE" | "PERMISSIVE" | "STRICT", MtlsMode>> = {
	DISABLE: "disable",
	PERMISSIVE: "permissive",
	STRICT: "strict",
};

/** Workload before namespace before mesh; UNSET asks the next wider one, and nobody's word is PERMISSIVE. */
function compileMtls(all: readonly Policy<PeerAuthentication>[], workload: Workload): InboundConfig["mtls"] {
	const isPlain = ({ spec }: Policy<PeerAuthentication>): boolean => (spec.selector?.size ?? 0) === 0;
	const levels = [
		// As in Istio a selector in the root namespace selects nothing.
		all.filter(
			(one) =>
				!isPlain(one) &&
				one.namespace === workload.namespace &&
				one.namespace !== ROOT_NAMESPACE &&
				hasLabels(workload.labels, one.spec.selector),
		),
		all.filter((one) => isPlain(one) && one.namespace === workload.namespace && one.namespace !== ROOT_NAMESPACE),
		all.filter((one) => isPlain(one) && one.namespace === ROOT_NAMESPACE),
	];
	const chosen = levels.flatMap(([first, ...others]) => {
		for (const other of others)
			warn(
				other.at,
				`PeerAuthentication ${nameOf(first!)} is for the same workloads and stands before it: the first one counts`,
			);
		return first === undefined ? [] : [first];
	});
	const deciding = chosen.find(({ spec }) => spec.mtls !== undefined && spec.mtls !== "UNSET");
	const mode = modeOf(deciding?.spec.mtls) ?? "permissive";
	const ofWorkload = levels[0]![0];
	const byPort = new Map<number, MtlsMode>();
	for (const [port, written] of ofWorkload?.spec.portLevelMtls ?? []) byPort.set(Number(port), modeOf(written) ?? mode);
	const policy = deciding ?? (byPort.size > 0 ? ofWorkload : undefined);
	return { mode, byPort, policy: policy === undefined ? "" : nameOf(policy) };
}

function modeOf(written: "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT" | undefined): MtlsMode | undefined {
	return written === undefined || written === "UNSET" ? undefined : MODES[written];
}

/** Policies of the workload's namespace and of the root namespace, with and without a selector. */
function compileAuthorization(all: readonly Policy<AuthorizationPolicy>[], workload: Workload): InboundConfig["authorization"] {
	const applying = all.filter(
		({ namespace, spec }) =>
			(namespace === workload.namespace || namespace === ROOT_NAMESPACE) && hasLabels(workload.labels, spec.selector),
	);
	const rules = (action: "ALLOW" | "DENY" | "AUDIT"): readonly AuthorizationRule[] =>
		applying
			.filter(({ spec }) => (spec.action ?? "ALLOW") === action)
			.flatMap((policy) => rulesOf(policy.spec, nameOf(policy)));
	return {
		deny: rules("DENY"),
		allow: rules("ALLOW"),
		audit: rules("AUDIT"),
		hasAllowPolicy: applying.some(({ spec }) => (spec.action ?? "ALLOW") === "ALLOW"),
	};
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
	return `${namespace}/${name}`;
}

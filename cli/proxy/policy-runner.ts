/**
 * From documents to what the proxy runs: compiled for its workload with the services that are known, put in force when it has no
 * faults, and told to where it came from either way.
 */
import { compile } from "../../model/mesh/policy/compile.ts";
import type { ProxyConfig, Workload } from "../../model/mesh/proxy-config.ts";
import type { EndpointSource, PolicySource } from "../../proxy-shim/control/sources.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import type { HopSink } from "../../proxy-shim/telemetry/hop.ts";
import type { Log } from "../serve/log.ts";

export interface PolicyRunner {
	/** A policy is in force. */
	readonly isReady: boolean;
	close(): void;
}

/** Services come in bursts when a mesh starts. */
const RECOMPILE_AFTER_MS = 20;

/** Before any policy is known nothing is let in but what proves who it is, and that is allowed nothing. */
export const CLOSED: ProxyConfig = {
	version: "",
	inbound: {
		mtls: { mode: "strict", byPort: new Map(), policy: "" },
		authorization: { deny: [], allow: [], audit: [], hasAllowPolicy: true },
	},
	virtualHosts: [],
	clusters: new Map(),
	unknownHosts: "refuse",
};

export function runPolicy(
	proxy: Pick<Proxy, "setConfig" | "setRegistry">,
	workload: Workload,
	policy: PolicySource,
	endpoints: EndpointSource,
	events: Pick<HopSink, "event">,
	log: Log,
): PolicyRunner {
	let isReady = false;
	let timer: NodeJS.Timeout | undefined;
	let told = "";

	function apply(): void {
		const snapshot = policy.current();
		// A service that is not told yet would pass for a host of the outside, and be called without a certificate.
		if (snapshot === undefined || !endpoints.isComplete) return;
		const { version, documents } = snapshot;
		const { config, faults, warnings } = compile(documents, workload, endpoints.services(), { version });
		const isNews = told !== `${version} ${snapshot.hash}`;
		told = `${version} ${snapshot.hash}`;
		if (faults.length === 0) {
			proxy.setConfig(config);
			isReady = true;
		}
		if (!isNews) return;
		for (const warning of warnings) log.warn({ ...warning }, "the policy may not mean what it says");
		const message = faults.map((fault) => `${fault.file}:${fault.line} ${fault.path}: ${fault.message}`).join("; ");
		events.event({ kind: "config", version, accepted: faults.length === 0, message });
		if (faults.length === 0) log.info({ version, clusters: config.clusters.size }, "policy in force");
		else log.warn({ version, faults }, "the policy cannot be run; the one before stays");
		policy.report(version, faults);
	}

	const endPolicy = policy.onChange(apply);
	const endEndpoints = endpoints.onChange((changed) => {
		proxy.setRegistry(changed, false);
		if (!isReady) {
			apply();
			return;
		}
		// A service that is new needs a virtual host and clusters.
		timer ??= setTimeout(() => {
			timer = undefined;
			apply();
		}, RECOMPILE_AFTER_MS);
	});
	proxy.setRegistry(endpoints.services(), true);
	apply();
	return {
		get isReady() {
			return isReady;
		},
		close() {
			clearTimeout(timer);
			endPolicy();
			endEndpoints();
		},
	};
}

/**
 * What is known of an exchange while it is under way, and the hop that it becomes. Every exchange that began ends in exactly one hop,
 * however it ends.
 */
import type { InboundConfig, MtlsMode, UpstreamTls, Workload } from "../../model/mesh/proxy-config.ts";
import { unixNano } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { Direction, HopSink, HopTls, HopTrace, HttpHop, Peer } from "../telemetry/hop.ts";
import type { RequestHead } from "./message.ts";
import { headerValue } from "./message.ts";

/** Envoy's letters; `DPE` for what the caller sent wrongly, `UC` for an upstream that broke off, `UPE` for one that broke HTTP. */
export type ResponseFlag =
	| "UF"
	| "UO"
	| "NR"
	| "NC"
	| "URX"
	| "UT"
	| "DC"
	| "UH"
	| "UC"
	| "UR"
	| "UPE"
	| "DPE"
	| "SI"
	| "RL"
	| "FI"
	| "DI"
	| "UAEX";

export interface RecordStart {
	readonly direction: Direction;
	readonly local: Workload;
	readonly head: RequestHead;
	readonly trace: HopTrace;
	readonly requestId: string;
	readonly configVersion: string;
	readonly mtlsMode: MtlsMode;
	readonly tls: HopTls;
	readonly peer: Peer;
}

export class HopRecord {
	readonly start: RecordStart;
	readonly startMs: number;
	readonly startTimeUnixNano: bigint;
	status = 0;
	grpcStatus: number | undefined = undefined;
	requestBytes = 0;
	responseBytes = 0;
	requestMessages = 0;
	responseMessages = 0;
	route = "";
	retries = 0;
	failedHandshakes = 0;
	fellBack = false;
	faultInjected = false;
	upstreamServiceTimeMs = -1;
	upstreamCluster = "";
	lbPolicy = "";
	subset = "";
	breakerState: HttpHop["breakerState"] = "";
	authzPolicy = "";
	authzDecision: HttpHop["authzDecision"] = "";
	tls: HopTls;
	peer: Peer;
	mtlsMode: MtlsMode;
	readonly #flags: ResponseFlag[] = [];
	readonly #clock: Clock;
	#told = false;

	constructor(start: RecordStart, clock: Clock) {
		this.start = start;
		this.tls = start.tls;
		this.peer = start.peer;
		this.#clock = clock;
		this.startMs = clock.nowMs();
		this.mtlsMode = start.mtlsMode;
		this.startTimeUnixNano = unixNano(clock.epochMs());
	}

	flag(flag: ResponseFlag): void {
		if (!this.#flags.includes(flag)) this.#flags.push(flag);
	}

	get flags(): readonly ResponseFlag[] {
		return this.#flags;
	}

	/** Once; what comes later is left out. */
	finish(sink: Pick<HopSink, "http">): void {
		if (this.#told) return;
		this.#told = true;
		const { start } = this;
		const { head } = start;
		sink.http({
			kind: "http",
			direction: start.direction,
			local: start.local,
			peer: this.peer,
			startTimeUnixNano: this.startTimeUnixNano,
			durationNs: Math.max(0, Math.round((this.#clock.nowMs() - this.startMs) * 1e6)),
			tls: this.tls,
			failedHandshakes: this.failedHandshakes,
			mtlsMode: this.mtlsMode,
			responseFlags: this.#flags.join(","),
			authzPolicy: this.authzPolicy,
			authzDecision: this.authzDecision,
			configVersion: start.configVersion,
			upstreamCluster: this.upstreamCluster,
			lbPolicy: this.lbPolicy,
			subset: this.subset,
			trace: start.trace,
			requestId: start.requestId,
			method: head.method,
			scheme: head.scheme,
			authority: head.authority,
			path: head.path,
			protocolVersion: head.protocolVersion,
			isGrpc: head.isGrpc,
			userAgent: headerValue(head.headers, "user-agent") ?? "",
			status: this.status,
			grpcStatus: this.grpcStatus,
			requestBytes: this.requestBytes,
			responseBytes: this.responseBytes,
			requestMessages: this.requestMessages,
			responseMessages: this.responseMessages,
			route: this.route,
			retries: this.retries,
			breakerState: this.breakerState,
			fellBack: this.fellBack,
			upstreamServiceTimeMs: this.upstreamServiceTimeMs,
			faultInjected: this.faultInjected,
		});
	}
}

export const NO_PEER: Peer = { service: "", namespace: "", workload: "", instanceId: "", address: "", port: 0 };

/** The mode in force at a port of the service. */
export function mtlsModeOf(mtls: InboundConfig["mtls"], port: number): MtlsMode {
	return mtls.byPort.get(port) ?? mtls.mode;
}

/** What the policy asks of connections to a cluster, in the words of ports: `auto` takes what the peer has. */
export function mtlsModeTowards(tls: UpstreamTls): MtlsMode {
	switch (tls.mode) {
		case "auto":
			return "permissive";
		case "istio_mutual":
		case "mutual":
			return "strict";
		case "disable":
		case "simple":
			return "disable";
	}
}

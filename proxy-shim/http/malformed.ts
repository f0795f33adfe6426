/** The hop of what came in place of a request: no method, no path, `DPE`, and the status that it was refused with. */
import type { MtlsMode, Workload } from "../../model/mesh/proxy-config.ts";
import type { Clock } from "../clock.ts";
import type { Direction, HopSink } from "../telemetry/hop.ts";
import { readTraceContext } from "../telemetry/trace-context.ts";
import { unknownTls } from "../tls/hop-tls.ts";
import type { CallerConnection } from "./downstream.ts";
import { callerOf } from "./inbound.ts";
import type { RequestHead } from "./message.ts";
import { HopRecord, NO_PEER } from "./record.ts";
import type { Tracing } from "./trace.ts";

export interface MalformedParts {
	readonly local: Workload;
	readonly tracing: Tracing;
	readonly clock: Clock;
	readonly sink: HopSink;
}

const NOTHING: RequestHead = {
	method: "",
	scheme: "http",
	authority: "",
	path: "",
	headers: [],
	protocolVersion: "1.1",
	isGrpc: false,
	upgrade: "",
	expectsContinue: false,
};

export function tellMalformed(
	direction: Direction,
	connection: CallerConnection | undefined,
	status: number,
	policy: { readonly version: string; readonly mtlsMode: MtlsMode },
	parts: MalformedParts,
): void {
	if (connection === undefined) return;
	const trace = readTraceContext(() => undefined, parts.tracing.ids, parts.tracing.sampler);
	const isInbound = direction === "inbound";
	const record = new HopRecord(
		{
			direction,
			local: parts.local,
			head: { ...NOTHING, scheme: connection.tls.status === "plaintext" ? "http" : "https" },
			trace,
			requestId: trace.requestId,
			configVersion: policy.version,
			mtlsMode: policy.mtlsMode,
			tls: isInbound ? connection.tls : unknownTls(""),
			peer: isInbound ? callerOf(connection) : NO_PEER,
		},
		parts.clock,
	);
	record.status = status;
	record.flag("DPE");
	record.finish(parts.sink);
}

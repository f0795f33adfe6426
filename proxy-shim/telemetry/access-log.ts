/**
 * The access log: a JSON object a line, written in pieces. Values are escaped as JSON has it, so that nothing a client sends can begin
 * a line of its own. A reader that is too slow costs lines, which are counted, and never a request.
 */
import type { Clock } from "./clock.ts";
import type { HttpHop, TcpHop } from "./hop.ts";
import { redactQuery } from "./query-redaction.ts";

/** A stream of Node's, or a test's. */
export interface LogOutput {
	/** False when it holds more than it likes. */
	write(text: string): boolean;
	readonly writableLength: number;
}

const MAX_PIECE_CHARACTERS = 32 << 10;
const MAX_DELAY_MS = 200;
const MAX_WAITING_BYTES = 4 << 20;
const MAX_VALUE_CHARACTERS = 2048;

export class AccessLog {
	private readonly output: LogOutput;
	private readonly clock: Clock;
	private pieces = "";
	private cancel: (() => void) | undefined;
	dropped = 0;

	constructor(output: LogOutput, clock: Clock) {
		this.output = output;
		this.clock = clock;
	}

	add(hop: HttpHop | TcpHop): void {
		if (this.output.writableLength > MAX_WAITING_BYTES) {
			this.dropped++;
			return;
		}
		this.pieces += `${JSON.stringify(lineOf(hop))}\n`;
		if (this.pieces.length >= MAX_PIECE_CHARACTERS) this.flush();
		else this.cancel ??= this.clock.after(MAX_DELAY_MS, () => this.flush());
	}

	flush(): void {
		this.cancel?.();
		this.cancel = undefined;
		if (this.pieces === "") return;
		const { pieces } = this;
		this.pieces = "";
		this.output.write(pieces);
	}
}

/** Empty values are left out. */
function lineOf(hop: HttpHop | TcpHop): Readonly<Record<string, string | number | boolean>> {
	const { local, peer, tls, trace } = hop;
	const line: Record<string, string | number | boolean> = {
		time: new Date(Number(hop.startTimeUnixNano / 1_000_000n)).toISOString(),
		direction: hop.direction,
		duration_ms: Math.round(hop.durationNs / 1e3) / 1e3,
	};
	const add = (key: string, value: string | number): void => {
		if (value !== "") line[key] = typeof value === "string" ? value.slice(0, MAX_VALUE_CHARACTERS) : value;
	};
	if (hop.kind === "http") {
		add("method", hop.method);
		add("authority", hop.authority);
		add("path", loggedPath(hop.path));
		add("protocol", hop.isGrpc ? "grpc" : `HTTP/${hop.protocolVersion}`);
		add("status", hop.status);
		if (hop.grpcStatus !== undefined) add("grpc_status", hop.grpcStatus);
		add("request_bytes", hop.requestBytes);
		add("response_bytes", hop.responseBytes);
		if (hop.retries > 0) add("retries", hop.retries);
		if (hop.upstreamServiceTimeMs >= 0) add("upstream_service_time_ms", hop.upstreamServiceTimeMs);
		add("route", hop.route);
		add("breaker", hop.breakerState);
		add("user_agent", hop.userAgent);
		add("request_id", hop.requestId);
		if (hop.fellBack) line["fallback"] = true;
		if (hop.faultInjected) line["fault_injected"] = true;
	} else {
		add("protocol", "TCP");
		add("bytes_sent", hop.bytesSent);
		add("bytes_received", hop.bytesReceived);
		add("closed_by", hop.closedBy);
	}
	add("flags", hop.responseFlags);
	add("service", local.service);
	add("namespace", local.namespace);
	add("peer", peer.service);
	add("peer_namespace", peer.namespace);
	add("peer_address", peer.address === "" ? "" : `${peer.address}:${peer.port}`);
	add("upstream_cluster", hop.upstreamCluster);
	add("mtls", tls.status);
	add("tls_version", tls.version);
	add("source_principal", tls.clientPrincipal);
	add("destination_principal", tls.serverPrincipal);
	add("no_tls_reason", tls.noTlsReason);
	if (hop.failedHandshakes > 0) add("failed_handshakes", hop.failedHandshakes);
	add("authz_policy", hop.authzPolicy);
	add("authz_decision", hop.authzDecision);
	add("trace_id", trace.traceId);
	add("span_id", trace.spanId);
	add("config_version", hop.configVersion);
	return line;
}

function loggedPath(path: string): string {
	const mark = path.indexOf("?");
	return mark < 0 ? path : `${path.slice(0, mark)}?${redactQuery(path.slice(mark + 1))}`;
}

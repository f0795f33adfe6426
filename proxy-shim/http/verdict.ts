/** What an attempt that failed before its response means: to outlier detection and breaker, to telemetry, and to the caller. */
import type { UpstreamFailure } from "../upstream/call.ts";
import type { AttemptOutcome } from "../upstream/host.ts";
import type { ResponseFlag } from "./record.ts";

export interface Verdict {
	readonly outcome: AttemptOutcome;
	readonly flag: ResponseFlag;
	readonly status: number;
	readonly message: string;
}

export function verdictOf(failure: UpstreamFailure): Verdict {
	const isProtocol = failure.reason === "protocol";
	const reason =
		isProtocol || failure.reason === "cancelled" || failure.reason === "pending_overflow" ? "reset" : failure.reason;
	const words = isProtocol ? "protocol error" : reason === "reset" ? "connection termination" : reason.replaceAll("_", " ");
	return {
		outcome: { kind: "local", reason },
		flag: isProtocol ? "UPE" : flagOf(reason),
		status: isProtocol ? 502 : 503,
		message: `upstream connect error or disconnect/reset before headers. reset reason: ${words}`,
	};
}

function flagOf(reason: Extract<AttemptOutcome, { kind: "local" }>["reason"]): ResponseFlag {
	switch (reason) {
		case "connect_failure":
		case "connect_timeout":
		case "handshake":
			return "UF";
		case "refused_stream":
			return "UR";
		case "reset":
			return "UC";
		case "timeout":
			return "UT";
	}
}

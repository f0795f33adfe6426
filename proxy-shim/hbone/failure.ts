/** Why a tunnel did not come about although its TLS did. */

export type TunnelFailureReason = "refused" | "not_found" | "overloaded" | "timeout" | "closed";

export class TunnelFailure extends Error {
	readonly reason: TunnelFailureReason;
	/** What the other end answered; 0 where it answered nothing. */
	readonly status: number;
	/** As a TCP connection that fails has it, for code that looks there. */
	readonly code: "ECONNREFUSED" | "ETIMEDOUT" | "ECONNRESET";

	constructor(reason: TunnelFailureReason, message: string, status = 0) {
		super(message);
		this.name = "TunnelFailure";
		this.reason = reason;
		this.status = status;
		this.code = reason === "timeout" ? "ETIMEDOUT" : reason === "closed" ? "ECONNRESET" : "ECONNREFUSED";
	}
}

export function tunnelRefused(status: number, target: string): TunnelFailure {
	if (status === 404) return new TunnelFailure("not_found", `no workload of that node listens at ${target} (404)`, status);
	if (status === 503) return new TunnelFailure("overloaded", `the node has no room for a tunnel to ${target} (503)`, status);
	return new TunnelFailure("refused", `the node refused a tunnel to ${target} (${status})`, status);
}

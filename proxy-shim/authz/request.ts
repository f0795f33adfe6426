/** What authorisation is asked, and what it answers. */

/** A request or connection. */
export interface AuthorizationRequest {
	/** The peer's SPIFFE ID from its verified certificate, with or without `spiffe://`; empty where none was verified. */
	readonly principal: string;
	/** The namespace in that ID; not looked at where the principal is empty. */
	readonly namespace: string;
	/** Of the connection, never from a header. */
	readonly sourceIp: string;
	/** Without the port, in any case; empty for TCP. */
	readonly host: string;
	/** The port that the workload listens on. */
	readonly port: number;
	/** Empty for TCP: that is how a connection is told from a request. */
	readonly method: string;
	/** As it came; the query is not looked at. */
	readonly path: string;
	/** By lower-case name. */
	header(name: string): string | undefined;
	/** Empty for none. */
	readonly sni: string;
	readonly destinationIp: string;
}

export interface AuthorizationResult {
	/** Empty where no policy is there to be asked; `audit` where only AUDIT policies matched. */
	readonly decision: "" | "allow" | "deny" | "audit";
	/** `namespace/name` of the policy that decided; empty where none matched. */
	readonly policy: string;
	/** AUDIT policies that matched. */
	readonly audited: readonly string[];
}

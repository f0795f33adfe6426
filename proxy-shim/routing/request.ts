/** A request as routes see it. */

/**
 * The data path makes one a request, or one a connection that it changes for each. Routing reads it and keeps nothing of it.
 */
export interface RouteRequest {
	/** Lower case, without the port. */
	readonly host: string;
	/** The port that the caller asked for. */
	readonly port: number;
	readonly method: string;
	/** As it came, without the query: routes match the raw path, as Envoy's do. */
	readonly path: string;
	/** Without the question mark; empty for none. */
	readonly query: string;
	/** `http` or `https`. */
	readonly scheme: string;
	/** By lower-case name; several of one name joined by a comma. `host` gives the authority as it came, of HTTP/2 too. */
	header(name: string): string | undefined;
}

/** Names of HBONE on the wire: where a CONNECT leads, and which workload of a node is meant. */
import { isIP } from "node:net";
import { parseSpiffeId } from "../../model/mesh/spiffe-id.ts";

export interface TunnelTarget {
	/** Lower case; an IPv6 address without brackets. */
	readonly host: string;
	readonly port: number;
}

/** `address:port`, `[v6]:port` or `host:port`, in one spelling only; undefined for anything else. */
export function parseTarget(authority: string): TunnelTarget | undefined {
	const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):([1-9]\d{0,4})$/.exec(authority);
	if (match === null) return undefined;
	const [, bracketed, plain, digits] = match;
	const port = Number(digits);
	if (port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6)) return undefined;
	return { host: (bracketed ?? plain!).toLowerCase(), port };
}

export function formatTarget({ host, port }: TunnelTarget): string {
	return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * The SNI by which a node proxy knows whose certificate to show. ztunnel tells workloads apart by their address instead, which only works
 * where each has one. Undefined for what is no identity of this mesh.
 */
export function hboneServerName(principal: string): string | undefined {
	const id = parseSpiffeId(principal);
	return id === undefined ? undefined : `hbone_.${id.serviceAccount}_.${id.namespace}_.${id.trustDomain}`.toLowerCase();
}

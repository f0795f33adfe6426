/**
 * How a proxy tells another one of its machine that a plain TCP connection is its own: there is no header to say it in, and on loopback
 * every caller has the same address. So it calls from one of its own; the proxy at the other end then leaves counting to it.
 *
 * Only towards endpoints that are known to have a proxy: whoever else listens on loopback may have rules about 127.0.0.1.
 */
import type { Endpoint } from "../../model/mesh/proxy-config.ts";

/** All of 127.0.0.0/8 is this machine on Linux; elsewhere it cannot be bound, and the connection is made without. */
const PROXY_ADDRESS = "127.77.83.1";

/** Where to call a plain TCP endpoint from; undefined: from anywhere. */
export function callerAddress({ address, principal }: Endpoint): string | undefined {
	return principal !== undefined && /^127\.\d+\.\d+\.\d+$/.test(address) ? PROXY_ADDRESS : undefined;
}

export function isProxyOfThisMachine(address: string): boolean {
	return address === PROXY_ADDRESS;
}

/** For rules about addresses, which know loopback by its usual name. */
export function usualAddress(address: string): string {
	return isProxyOfThisMachine(address) ? "127.0.0.1" : address;
}

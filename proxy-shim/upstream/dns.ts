/** Names of a cluster, resolved again and again: the addresses change, and an answer that fails leaves the last one in force. */
import { lookup } from "node:dns";
import { isIP } from "node:net";
import type { Endpoint } from "../../model/mesh/proxy-config.ts";

export interface DnsName {
	readonly host: string;
	readonly port: number;
	readonly weight: number;
}

/** Every address of the name. */
export type Resolve = (host: string, done: (error: Error | null, addresses: readonly string[]) => void) => void;

/** As Envoy's dns_refresh_rate. */
const REFRESH_MS = 5_000;

export const systemResolve: Resolve = (host, done) => {
	lookup(host, { all: true, order: "ipv4first" }, (error, found) => {
		done(error, error === null ? found.map((entry) => entry.address) : []);
	});
};

/** Calls `onEndpoints` with each change; the returned function ends it. */
export function followDns(
	names: readonly DnsName[],
	resolve: Resolve,
	onEndpoints: (endpoints: readonly Endpoint[]) => void,
	refreshMs = REFRESH_MS,
): () => void {
	const found = names.map((): readonly string[] => []);
	let told = "";
	let ended = false;

	function refresh(): void {
		names.forEach((name, i) => {
			if (isIP(name.host) !== 0) {
				found[i] = [name.host];
				return;
			}
			resolve(name.host, (error, addresses) => {
				if (ended || error !== null || addresses.length === 0) return;
				found[i] = addresses.toSorted();
				tell();
			});
		});
		tell();
	}

	function tell(): void {
		const endpoints = names.flatMap((name, i) => found[i]!.map((address) => endpointOf(name, address)));
		const key = endpoints.map((endpoint) => endpoint.id).join(" ");
		if (key === told) return;
		told = key;
		onEndpoints(endpoints);
	}

	refresh();
	const timer = names.every((name) => isIP(name.host) !== 0) ? undefined : setInterval(refresh, refreshMs).unref();
	return () => {
		ended = true;
		clearInterval(timer);
	};
}

function endpointOf(name: DnsName, address: string): Endpoint {
	return {
		id: `${address}:${name.port}`,
		address,
		port: name.port,
		labels: {},
		weight: name.weight,
		principal: undefined,
		healthy: true,
		hboneAddress: undefined,
	};
}

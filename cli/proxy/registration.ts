/** Where peers reach the workload: what the control plane is told of the listeners. */
import { networkInterfaces } from "node:os";
import type { Registration } from "../../model/mesh/control-protocol.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import type { ProxyRunSettings } from "./settings.ts";

/** Undefined for a pure client. `hboneAddress` is where tunnels to it arrive. */
export function registrationOf(settings: ProxyRunSettings, proxy: Proxy, hboneAddress?: string): Registration | undefined {
	if (settings.inbound.length === 0) return undefined;
	const ports = settings.inbound.map(({ servicePort, protocol }, i) => {
		const bound = proxy.addresses.inbound[i]!;
		const address = settings.advertise ?? reachableHost(bound.host);
		return { servicePort, address, port: bound.port, protocol };
	});
	return { ports, ...(hboneAddress === undefined ? {} : { hboneAddress }) };
}

/** By which others call a listener that is bound to `host`. */
export function reachableHost(host: string): string {
	return isEverywhere(host) ? firstAddress() : host;
}

function isEverywhere(host: string): boolean {
	return host === "::" || host === "0.0.0.0";
}

/** The first address that other machines may reach. */
function firstAddress(): string {
	for (const addresses of Object.values(networkInterfaces())) {
		for (const { address, family, internal } of addresses ?? []) if (!internal && family === "IPv4") return address;
	}
	return "127.0.0.1";
}

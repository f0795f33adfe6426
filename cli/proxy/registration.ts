/** Where peers reach the workload: what the control plane is told of the listeners. */
import { networkInterfaces } from "node:os";
import type { Registration } from "../../model/mesh/control-protocol.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import type { ProxyRunSettings } from "./settings.ts";

/** One an inbound listener, as peers call it. */
export function portsOf(settings: ProxyRunSettings, proxy: Proxy): Registration["ports"] {
	return settings.inbound.map(({ servicePort, protocol }, i) => {
		const bound = proxy.addresses.inbound[i]!;
		return { servicePort, address: settings.advertise ?? reachable(bound.host), port: bound.port, protocol };
	});
}

/** The address under which a listener bound to `host` is called by others. */
export function reachable(host: string): string {
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

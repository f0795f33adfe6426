/** Parts of a static Envoy whose decisions are compared with the shim's, and the client that asks it. */
import { request } from "node:http";

export function addressOf(port: number): object {
	return { socket_address: { address: "127.0.0.1", port_value: port } };
}

/** @param filters before the router */
export function listenerOf(
	name: string,
	port: number,
	settings: object,
	virtualHosts: readonly object[],
	filters: readonly object[] = [],
): object {
	return {
		name,
		address: addressOf(port),
		filter_chains: [
			{
				filters: [
					{
						name: "envoy.filters.network.http_connection_manager",
						typed_config: {
							"@type":
								"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
							stat_prefix: name,
							...settings,
							route_config: { virtual_hosts: virtualHosts },
							http_filters: [
								...filters,
								{
									name: "envoy.filters.http.router",
									typed_config: {
										"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
									},
								},
							],
						},
					},
				],
			},
		],
	};
}

export function ask(
	port: number,
	{
		host,
		method = "GET",
		target,
		headers = {},
	}: { host: string; method?: string; target: string; headers?: Readonly<Record<string, string>> },
): Promise<{ status: number; body: string }> {
	return new Promise((resolve, reject) => {
		const outgoing = request({ host: "127.0.0.1", port, path: target, method, headers: { ...headers, host } });
		outgoing.on("response", (response) => {
			let body = "";
			response.setEncoding("utf8");
			response.on("data", (text: string) => (body += text));
			response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
		});
		outgoing.on("error", reject);
		outgoing.end();
	});
}

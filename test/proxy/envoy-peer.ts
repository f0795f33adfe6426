/**
 * A real Envoy as a peer of the shim: it calls the shim and is called by it, over mTLS with its own SPIFFE validator at both ends, and
 * tunnels both ways by CONNECT. Whoever starts it owns the folder and stops it.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Identity } from "../../proxy-shim/tls/identity-source.ts";
import { runEnvoy } from "../interop/envoy/run.ts";
import type { EnvoyProcess } from "../interop/envoy/run.ts";

interface Target {
	readonly host: string;
	readonly port: number;
}

export interface EnvoyPeerOptions {
	/** Of Envoy, in either role. */
	readonly identity: Identity;
	/** Where the shim takes calls, and who it must be. */
	readonly shim: Target & { readonly principal: string };
	/** The app behind Envoy. */
	readonly app: Target;
	/** The shim's node listener, and what to CONNECT to. */
	readonly hbone: Target & { readonly target: string };
	readonly ports: {
		/** HTTP in plaintext, on to the shim over HTTP/1.1 or HTTP/2; `impostor` expects somebody else there. */
		readonly toShim1: number;
		readonly toShim2: number;
		readonly impostor: number;
		/** HTTP over mTLS, on to the app. */
		readonly inbound: number;
		/** Bytes, on through a tunnel to `hbone.target`. */
		readonly tunnelOut: number;
		/** CONNECT over mTLS, on to the app. */
		readonly tunnelIn: number;
	};
}

export async function startEnvoyPeer(binary: string, folder: string, options: EnvoyPeerOptions): Promise<EnvoyProcess> {
	await mkdir(folder, { recursive: true });
	const files = {
		cert: path.join(folder, "own.crt"),
		key: path.join(folder, "own.key"),
		roots: path.join(folder, "roots.crt"),
	};
	await Promise.all([
		writeFile(files.cert, options.identity.chainPem),
		writeFile(files.key, options.identity.keyPem, { mode: 0o600 }),
		writeFile(files.roots, options.identity.rootsPem.join("")),
	]);
	const { shim, app, hbone, ports } = options;

	const tls = (direction: "Upstream" | "Downstream", alpn: readonly string[], expected?: string): object => ({
		name: "envoy.transport_sockets.tls",
		typed_config: {
			"@type": `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${direction}TlsContext`,
			...(direction === "Downstream"
				? { require_client_certificate: true }
				: { sni: "outbound_.80_._.orders.shop.svc.cluster.local" }),
			common_tls_context: {
				alpn_protocols: alpn,
				tls_params: { tls_minimum_protocol_version: "TLSv1_2", tls_maximum_protocol_version: "TLSv1_3" },
				tls_certificates: [{ certificate_chain: { filename: files.cert }, private_key: { filename: files.key } }],
				validation_context: {
					custom_validator_config: {
						name: "envoy.tls.cert_validator.spiffe",
						typed_config: {
							"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
							trust_domains: [{ name: "cluster.local", trust_bundle: { filename: files.roots } }],
						},
					},
					...(expected === undefined
						? {}
						: { match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: expected } }] }),
				},
			},
		},
	});
	const http2 = {
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
			"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			explicit_http_config: { http2_protocol_options: {} },
		},
	};
	const cluster = (name: string, target: Target, socket?: object, isHttp2 = false): object => ({
		name,
		connect_timeout: "5s",
		type: "STATIC",
		...(isHttp2 ? { typed_extension_protocol_options: http2 } : {}),
		...(socket === undefined ? {} : { transport_socket: socket }),
		load_assignment: {
			cluster_name: name,
			endpoints: [
				{
					lb_endpoints: [
						{ endpoint: { address: { socket_address: { address: target.host, port_value: target.port } } } },
					],
				},
			],
		},
	});
	const manager = (name: string, route: object, more: object = {}): object => ({
		name: "envoy.filters.network.http_connection_manager",
		typed_config: {
			"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			stat_prefix: name,
			forward_client_cert_details: "SANITIZE_SET",
			set_current_client_cert_details: { uri: true },
			http_filters: [
				{
					name: "envoy.filters.http.router",
					typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
				},
			],
			route_config: { virtual_hosts: [{ name: "v", domains: ["*"], routes: [route] }] },
			...more,
		},
	});
	const listener = (name: string, port: number, filter: object, socket?: object): object => ({
		name,
		address: { socket_address: { address: "127.0.0.1", port_value: port } },
		filter_chains: [{ ...(socket === undefined ? {} : { transport_socket: socket }), filters: [filter] }],
	});
	const to = (name: string): object => ({ match: { prefix: "/" }, route: { cluster: name } });
	const bootstrap = {
		node: { id: "peer", cluster: "peer" },
		admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } },
		static_resources: {
			listeners: [
				listener("to-shim-1", ports.toShim1, manager("to_shim_1", to("shim-1"))),
				listener("to-shim-2", ports.toShim2, manager("to_shim_2", to("shim-2"))),
				listener("impostor", ports.impostor, manager("impostor", to("impostor"))),
				listener("inbound", ports.inbound, manager("inbound", to("app")), tls("Downstream", ["h2", "http/1.1"])),
				listener("tunnel-out", ports.tunnelOut, {
					name: "envoy.filters.network.tcp_proxy",
					typed_config: {
						"@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
						stat_prefix: "tunnel_out",
						cluster: "hbone",
						tunneling_config: { hostname: hbone.target },
					},
				}),
				listener(
					"tunnel-in",
					ports.tunnelIn,
					manager(
						"tunnel_in",
						{
							match: { connect_matcher: {} },
							route: { cluster: "app", upgrade_configs: [{ upgrade_type: "CONNECT", connect_config: {} }] },
						},
						{ http2_protocol_options: { allow_connect: true }, upgrade_configs: [{ upgrade_type: "CONNECT" }] },
					),
					tls("Downstream", ["h2"]),
				),
			],
			clusters: [
				cluster("shim-1", shim, tls("Upstream", [], shim.principal)),
				cluster("shim-2", shim, tls("Upstream", ["h2"], shim.principal), true),
				cluster("impostor", shim, tls("Upstream", [], "spiffe://cluster.local/ns/shop/sa/somebody-else")),
				cluster("app", app),
				cluster("hbone", hbone, tls("Upstream", ["h2"], shim.principal), true),
			],
		},
	};
	return runEnvoy(binary, folder, "envoy.json", JSON.stringify(bootstrap));
}

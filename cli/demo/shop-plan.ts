/**
 * Who is in the demo's mesh: each workload, what runs it, and the ports of it and its shim. Pure, so that the whole of it can be read in
 * one place and tested.
 */

export const NAMESPACE = "shop";
/** As examples/shop/mesh.yaml names it; the demo writes the port of its run there. */
export const LEGACY_SERVICE = "legacy-billing";

export type ServiceProtocol = "http" | "grpc" | "tcp";

/**
 * Processes are shared where nothing is lost by it: a Node process costs some 40 MB and 0.2 s of CPU to start.
 * `shop`: one for most of the Node apps. `checkout`: started with the preload, which is for whole processes. `traffic`: those who begin
 * requests, started last. `python`: one each.
 */
export type Host = "shop" | "checkout" | "traffic" | "python" | "late";

interface Member {
	readonly service: string;
	readonly version?: string;
	readonly host: Host;
	/** What it takes; absent for those that only call. */
	readonly serves?: readonly [servicePort: number, protocol: ServiceProtocol];
	readonly noShim?: true;
	/** Calls the store over TCP. */
	readonly usesStore?: true;
}

const MEMBERS: readonly Member[] = [
	{ service: "storefront", host: "shop", serves: [8080, "http"] },
	{ service: "catalogue", host: "python", serves: [8080, "http"] },
	{ service: "catalogue", version: "v2", host: "python", serves: [8080, "http"] },
	{ service: "inventory", host: "python", serves: [8080, "http"] },
	{ service: "cart", host: "shop", serves: [8080, "http"], usesStore: true },
	{ service: "store", host: "shop", serves: [6379, "tcp"] },
	{ service: "reviews", host: "shop", serves: [8080, "http"] },
	{ service: "reviews", version: "v2", host: "shop", serves: [8080, "http"] },
	{ service: "checkout", host: "checkout", serves: [8080, "http"] },
	{ service: "payments", host: "shop", serves: [50051, "grpc"] },
	{ service: "shipping", host: "shop", serves: [8080, "http"] },
	{ service: "notifications", host: "shop", serves: [8080, "http"] },
	{ service: LEGACY_SERVICE, host: "shop", serves: [8080, "http"], noShim: true },
	{ service: "reporting", host: "traffic" },
	{ service: "visitors", host: "traffic" },
	// Deployed by `--chaos`.
	{ service: "reviews", version: "v3", host: "late", serves: [8080, "http"] },
];

export interface PlannedWorkload {
	readonly service: string;
	readonly version: string;
	/** `catalogue v2`; unique. */
	readonly name: string;
	readonly host: Host;
	readonly serves: { readonly servicePort: number; readonly protocol: ServiceProtocol } | undefined;
	readonly appPort: number;
	readonly shim: PlannedShim | undefined;
}

export interface PlannedShim {
	readonly inboundPort: number | undefined;
	readonly outboundPort: number;
	readonly adminPort: number;
	/** Listeners for TCP, which has no Host header to tell where it wants to. */
	readonly upstreams: readonly { readonly port: number; readonly service: string; readonly servicePort: number }[];
}

export interface PlanOptions {
	/** Of a block of 100. */
	readonly firstPort: number;
	readonly hasPython: boolean;
}

export function planShop({ firstPort, hasPython }: PlanOptions): readonly PlannedWorkload[] {
	return MEMBERS.map((member, index) => {
		const { service, version = "v1" } = member;
		const serves = member.serves && { servicePort: member.serves[0], protocol: member.serves[1] };
		return {
			service,
			version,
			name: version === "v1" ? service : `${service} ${version}`,
			host: member.host === "python" && !hasPython ? "shop" : member.host,
			serves,
			appPort: firstPort + index,
			shim:
				member.noShim === true
					? undefined
					: {
							inboundPort: serves && firstPort + 20 + index,
							outboundPort: firstPort + 40 + index,
							adminPort: firstPort + 60 + index,
							upstreams:
								member.usesStore === true ? [{ port: firstPort + 80, service: "store", servicePort: 6379 }] : [],
						},
		};
	});
}

/** The argument of examples/shop/run.ts for the workloads that share a process. */
export function runArgument(workloads: readonly PlannedWorkload[], requestRate: number): string {
	return JSON.stringify(
		Object.fromEntries(
			workloads.map((one) => [
				one.name.replace(" ", "@"),
				{
					port: one.appPort,
					shim: one.shim === undefined ? "" : loopback(one.shim.outboundPort),
					store: one.shim?.upstreams[0] === undefined ? "" : loopback(one.shim.upstreams[0].port),
					version: one.version,
					requestRate,
				},
			]),
		),
	);
}

/** Where an app listens, wherever it runs. */
export function appPortOf(name: string, firstPort: number): number {
	return planShop({ firstPort, hasPython: false }).find((one) => one.name === name)?.appPort ?? 0;
}

export function hbonePort(firstPort: number): number {
	return firstPort + 90;
}

export function loopback(port: number): string {
	return `127.0.0.1:${port}`;
}

/**
 * The mesh that the benchmark plays: a shop of some forty services under Istio, their pods, operations and calls, and the shape of
 * the traces that its sidecars report. Everything here is drawn from a seed, so two runs measure the same mesh; what must be fresh in
 * every request (ids, times, sizes) is drawn in payload.ts.
 */

/** Uniform in [0, 1). */
export type Random = () => number;

export interface Operation {
	readonly method: "GET" | "POST" | "PUT" | "DELETE";
	/** Path up to the entity id, which is four digits where `hasEntity` holds. */
	readonly path: string;
	readonly hasEntity: boolean;
	/** As Istio's route decorator names it: `host:port/prefix*`. */
	readonly spanName: string;
	/** Median of the service's own time, without its callees. */
	readonly medianSelfNs: number;
}

export interface Pod {
	readonly name: string;
	readonly ip: string;
	readonly zone: string;
	readonly nodeId: string;
}

export interface Service {
	readonly index: number;
	readonly app: string;
	readonly namespace: string;
	/** Istio's default `service.name`. */
	readonly serviceName: string;
	readonly host: string;
	readonly port: number;
	readonly userAgent: string;
	readonly pods: readonly Pod[];
	readonly operations: readonly Operation[];
	/** Indexes of the services it calls. */
	readonly callees: readonly number[];
}

/** One call: reported twice, by the caller's sidecar (CLIENT) and by the callee's (SERVER). */
export interface Hop {
	readonly caller: number;
	readonly callerPod: number;
	readonly callee: number;
	readonly calleePod: number;
	readonly operation: number;
	/** Hop whose callee makes this call; -1 for the first. */
	readonly parentHop: number;
	readonly statusCode: number;
	readonly responseFlags: string;
	/** Digits of the sizes; the last four are fresh in every request. 0 for a request without a body. */
	readonly requestSizeDigits: number;
	readonly responseSizeDigits: number;
	/** From the start of the trace. */
	readonly clientStartNs: number;
	readonly clientEndNs: number;
	readonly serverStartNs: number;
	readonly serverEndNs: number;
}

export interface TraceShape {
	readonly hops: readonly Hop[];
}

export interface Mesh {
	readonly services: readonly Service[];
}

/** Every hop is two spans: ten spans a trace. */
export const HOPS_PER_TRACE = 5;
export const SPANS_PER_TRACE = HOPS_PER_TRACE * 2;
const ERROR_SHARE = 0.02;
const PODS_PER_SERVICE = 3;

const NAMESPACES: readonly (readonly [string, readonly string[]])[] = [
	["shop", ["web", "mobile-bff", "partners", "backoffice", "catalog", "search", "reviews", "ratings", "related", "cart"]],
	["sales", ["checkout", "orders", "history", "returns", "vouchers", "pricing", "tax", "invoices", "renewals", "quotes"]],
	["pay", ["payments", "cards", "fraud", "ledger", "refunds", "wallet", "currency"]],
	["ship", ["shipping", "stock", "warehouse", "carriers", "tracking", "addresses"]],
	["core", ["identity", "sessions", "profiles", "notify", "email", "flags", "audit"]],
];
const FIRST_LAYER = new Set(["web", "mobile-bff", "partners", "backoffice"]);
const LAST_LAYER = new Set([
	"ratings",
	"cards",
	"fraud",
	"ledger",
	"currency",
	"carriers",
	"warehouse",
	"addresses",
	"sessions",
	"email",
	"flags",
	"audit",
	"tax",
]);
const USER_AGENTS = ["Go-http-client/1.1", "python-requests/2.32.3", "node", "okhttp/4.12.0", "axios/1.7.7"];
const BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
const ZONES = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];
const VERBS: readonly (readonly [Operation["method"], string, boolean])[] = [
	["GET", "/items/", true],
	["GET", "/list", false],
	["POST", "/create", false],
	["GET", "/stats/", true],
	["PUT", "/items/", true],
	["POST", "/query", false],
	["DELETE", "/items/", true],
];

/** mulberry32: small, and good enough to lay out a mesh. */
export function seededRandom(seed: number): Random {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

/** Log-normal with this median; `sigma` 0.8 puts the 99th percentile at 6.4 times the median. */
export function logNormal(random: Random, median: number, sigma: number): number {
	const u = 1 - random();
	const v = random();
	return median * Math.exp(sigma * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v));
}

export function createMesh(random: Random): Mesh {
	const apps: { app: string; namespace: string; layer: number }[] = [
		{ app: "istio-ingressgateway", namespace: "istio-system", layer: 0 },
	];
	for (const [namespace, names] of NAMESPACES) {
		for (const app of names) apps.push({ app, namespace, layer: FIRST_LAYER.has(app) ? 1 : LAST_LAYER.has(app) ? 3 : 2 });
	}
	const indexesOf = (layer: number): number[] => apps.flatMap((entry, index) => (entry.layer === layer ? [index] : []));
	const middle = indexesOf(2);
	const last = indexesOf(3);
	const services = apps.map(({ app, namespace, layer }, index): Service => {
		const port = 8080 + (index % 4) * 10;
		const host = `${app}.${namespace}.svc.cluster.local`;
		const reachable =
			layer === 0
				? indexesOf(1)
				: layer === 1
					? middle
					: layer === 2
						? [...middle.filter((other) => other > index), ...last]
						: [];
		return {
			index,
			app,
			namespace,
			serviceName: `${app}.${namespace}`,
			host,
			port,
			userAgent: layer === 0 ? BROWSER : USER_AGENTS[index % USER_AGENTS.length]!,
			pods: Array.from({ length: PODS_PER_SERVICE }, (_, pod) => createPod(random, app, namespace, index, pod)),
			operations: createOperations(random, host, port),
			callees: layer === 0 ? reachable : sample(random, reachable, layer === 1 ? 8 : 4),
		};
	});
	return { services };
}

function createPod(random: Random, app: string, namespace: string, service: number, pod: number): Pod {
	const name = `${app}-${letters(random, 9)}-${letters(random, 5)}`;
	const ip = `10.244.${10 + ((service * 7 + pod * 31) % 80)}.${100 + ((service * 13 + pod * 5) % 150)}`;
	return {
		name,
		ip,
		zone: ZONES[pod % ZONES.length]!,
		nodeId: `sidecar~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`,
	};
}

function createOperations(random: Random, host: string, port: number): Operation[] {
	const count = 3 + Math.floor(random() * 4);
	return Array.from({ length: count }, (_, index): Operation => {
		const [method, path, hasEntity] = VERBS[index % VERBS.length]!;
		return { method, path, hasEntity, spanName: `${host}:${port}${path}*`, medianSelfNs: logNormal(random, 2.5e6, 0.9) };
	});
}

/** A trace of {@link HOPS_PER_TRACE} calls: the gateway calls a front service, and calls spread from there. */
export function createTraceShape(mesh: Mesh, random: Random): TraceShape {
	const plan: { caller: number; callee: number; parentHop: number }[] = [];
	const gateway = mesh.services[0]!;
	plan.push({ caller: 0, callee: skewed(random, gateway.callees), parentHop: -1 });
	while (plan.length < HOPS_PER_TRACE) {
		const parentHop = Math.floor(random() * plan.length);
		const caller = mesh.services[plan[parentHop]!.callee]!;
		if (caller.callees.length > 0) plan.push({ caller: caller.index, callee: skewed(random, caller.callees), parentHop });
	}
	const failing = random() < ERROR_SHARE * 2 ? Math.floor(random() * plan.length) : -1;
	const failed = new Set<number>();
	for (let hop = failing; hop >= 0; hop = random() < 0.4 ? plan[hop]!.parentHop : -1) failed.add(hop);
	const pods = plan.map(() => Math.floor(random() * PODS_PER_SERVICE));
	const operations = plan.map(({ callee }) =>
		skewed(
			random,
			mesh.services[callee]!.operations.map((_, index) => index),
		),
	);
	const times = layOutTimes(mesh, plan, operations, random);
	const hops = plan.map(({ caller, callee, parentHop }, index): Hop => {
		const operation = mesh.services[callee]!.operations[operations[index]!]!;
		const body = operation.method === "POST" || operation.method === "PUT";
		const [statusCode, responseFlags] = failed.has(index)
			? (
					[
						[503, "UF"],
						[500, "-"],
						[504, "UT"],
					] as const
				)[Math.floor(random() * 3)]!
			: [200, "-"];
		return {
			caller,
			callerPod: parentHop < 0 ? Math.floor(random() * PODS_PER_SERVICE) : pods[parentHop]!,
			callee,
			calleePod: pods[index]!,
			operation: operations[index]!,
			parentHop,
			statusCode,
			responseFlags,
			requestSizeDigits: body ? 4 : 0,
			responseSizeDigits: Math.min(6, Math.max(4, String(Math.floor(logNormal(random, 4_000, 1.2))).length)),
			...times[index]!,
		};
	});
	return { hops };
}

type HopTimes = Pick<Hop, "clientStartNs" | "clientEndNs" | "serverStartNs" | "serverEndNs">;

/** Callees run one after the other inside their caller; the network takes its share on both ways. */
function layOutTimes(
	mesh: Mesh,
	plan: readonly { callee: number; parentHop: number }[],
	operations: readonly number[],
	random: Random,
): HopTimes[] {
	const times: HopTimes[] = [];
	const visit = (index: number, clientStartNs: number): number => {
		const { callee } = plan[index]!;
		const selfNs = logNormal(random, mesh.services[callee]!.operations[operations[index]!]!.medianSelfNs, 0.8);
		const serverStartNs = clientStartNs + logNormal(random, 250_000, 0.4);
		let at = serverStartNs + selfNs * 0.4;
		for (let child = 0; child < plan.length; child++) {
			if (plan[child]!.parentHop === index) at = visit(child, at + 20_000) + 20_000;
		}
		const serverEndNs = at + selfNs * 0.6;
		const clientEndNs = serverEndNs + logNormal(random, 250_000, 0.4);
		times[index] = { clientStartNs, clientEndNs, serverStartNs, serverEndNs };
		return clientEndNs;
	};
	visit(0, 0);
	return times;
}

/** The first of a list far more often than the last: real mesh traffic is skewed. */
function skewed(random: Random, items: readonly number[]): number {
	return items[Math.floor(random() ** 2 * items.length)]!;
}

function sample(random: Random, items: readonly number[], count: number): number[] {
	const rest = [...items];
	const out: number[] = [];
	while (out.length < count && rest.length > 0) out.push(...rest.splice(Math.floor(random() * rest.length), 1));
	return out;
}

function letters(random: Random, count: number): string {
	let out = "";
	for (let i = 0; i < count; i++) out += "bcdfghjklmnpqrstvwxz2456789"[Math.floor(random() * 27)]!;
	return out;
}

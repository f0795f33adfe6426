/** The command lines of the demo's processes: the server, the shims, and the apps of the shop. */
import { join } from "node:path";
import type { ChildSpec } from "./children.ts";
import { loopback, NAMESPACE, runArgument } from "./shop-plan.ts";
import type { Host, PlannedWorkload } from "./shop-plan.ts";

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "main.ts");
const RUN = join(ROOT, "examples/shop/run.ts");
const PRELOAD = join(ROOT, "proxy-shim/propagate/propagate.js");

/** Of a shim at the end; the longest exchange is a WebSocket of some seconds, which may be cut. */
const DRAIN_S = 2;

export const SERVER = "the server";

type Env = Readonly<Record<string, string | undefined>>;

/** Settings of the person's own telemetry and of another meshscope must not reach the shop. */
function shopEnv(env: Env): Env {
	const { PATH, HOME, TMPDIR, NODE_COMPILE_CACHE } = env;
	return Object.fromEntries(
		Object.entries({ PATH, HOME, TMPDIR, NODE_COMPILE_CACHE }).filter(([, value]) => value !== undefined),
	);
}

export interface ServerOptions {
	readonly dataDirectory: string;
	readonly meshFile: string;
	/** Further flags of `serve`. */
	readonly flags: readonly string[];
	readonly env: Env;
	readonly onLine: (line: string) => void;
}

export function serverCommand({ dataDirectory, meshFile, flags, env, onLine }: ServerOptions): ChildSpec {
	return {
		name: SERVER,
		command: process.execPath,
		args: [MAIN, "serve", "--data", dataDirectory, "--mesh", meshFile, "--control", loopback(0), ...flags],
		env,
		onLine,
		// Shims and the person's browser hold on to its ports.
		essential: true,
	};
}

export interface ShimOptions {
	readonly controlUrl: string;
	readonly otlpUrl: string;
	readonly token: string;
	readonly stateDirectory: string;
	readonly env: Env;
}

/** @returns undefined for a workload without a shim */
export function shimCommand(workload: PlannedWorkload, options: ShimOptions): ChildSpec | undefined {
	const { shim, serves, service, version, appPort } = workload;
	if (shim === undefined) return undefined;
	const inbound =
		serves === undefined || shim.inboundPort === undefined
			? []
			: ["--inbound", `${loopback(shim.inboundPort)}=${loopback(appPort)}@${serves.servicePort}/${serves.protocol}`];
	const upstreams = shim.upstreams.flatMap((one) => ["--upstream", `${loopback(one.port)}=${one.service}:${one.servicePort}`]);
	return {
		name: shimName(workload),
		command: process.execPath,
		args: [
			...[MAIN, "proxy", "--service", `${NAMESPACE}/${service}`, "--version", version],
			...inbound,
			...["--outbound", loopback(shim.outboundPort), ...upstreams],
			...["--control", options.controlUrl, "--state", options.stateDirectory, "--otlp", options.otlpUrl],
			...["--admin", loopback(shim.adminPort), "--drain-seconds", String(DRAIN_S), "--log-level", "warn"],
		],
		// Not among the arguments, which everybody on the machine can read.
		env: { ...shopEnv(options.env), MESHSCOPE_JOIN_TOKEN: options.token },
	};
}

export function shimName({ name }: PlannedWorkload): string {
	return `the shim of ${name}`;
}

/** One process for all workloads of a host, except that each Python app has its own. */
export function appCommands(workloads: readonly PlannedWorkload[], requestRate: number, env: Env): readonly ChildSpec[] {
	const hosts = [...new Set(workloads.map(({ host }) => host))];
	return hosts.flatMap((host) => {
		const members = workloads.filter((one) => one.host === host);
		if (host === "python") return members.map((one) => pythonCommand(one, env));
		const flags = host === "checkout" ? ["--import", PRELOAD] : [];
		return [
			{
				name: appName(host, members),
				command: process.execPath,
				args: [...flags, RUN, runArgument(members, requestRate)],
				env: shopEnv(env),
			},
		];
	});
}

function appName(host: Host, members: readonly PlannedWorkload[]): string {
	return host === "shop" ? "the shop's Node apps" : members.map(({ name }) => name).join(" and ");
}

function pythonCommand({ name, service, version, appPort, shim }: PlannedWorkload, env: Env): ChildSpec {
	const outbound = shim === undefined ? "" : loopback(shim.outboundPort);
	const file = join(ROOT, "examples/shop/python", `${service}.py`);
	// -B: it writes no compiled files beside its sources. -S and -E make it start in half the time.
	return { name, command: "python3", args: ["-BSE", file, String(appPort), outbound, version], env: shopEnv(env) };
}

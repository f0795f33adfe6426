/** The command lines of the demo's processes: the server, the shims, and the apps of the shop. */
import { join } from "node:path";
import type { ChildSpec } from "./children.ts";
import { loopback, NAMESPACE, runArgument } from "./shop-plan.ts";
import type { Host, PlannedShim, PlannedWorkload } from "./shop-plan.ts";

const ROOT = join(import.meta.dirname, "../..");
const MAIN = join(ROOT, "main.ts");
const RUN = join(ROOT, "examples/shop/run.ts");
const PRELOAD = join(ROOT, "proxy-shim/propagate/propagate.js");

/** The longest exchange is a WebSocket of some seconds, which may be cut at the end. */
const SHIM_FLAGS = ["--drain-seconds", "2", "--log-level", "warn"];

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
	const { shim } = workload;
	if (shim === undefined) return undefined;
	return {
		name: shimName(workload),
		command: process.execPath,
		args: [
			...[MAIN, "proxy", ...flagsOf(shimSettings(workload, shim)), "--state", options.stateDirectory],
			...["--control", options.controlUrl, "--otlp", options.otlpUrl, "--admin", loopback(shim.adminPort)],
			...SHIM_FLAGS,
		],
		// Not among the arguments, which everybody on the machine can read.
		env: { ...shopEnv(options.env), MESHSCOPE_JOIN_TOKEN: options.token },
	};
}

export interface NodeProxyOptions {
	readonly controlUrl: string;
	readonly otlpUrl: string;
	/** As {@link workloadsText} wrote it. */
	readonly workloadsFile: string;
	readonly hbonePort: number;
	readonly env: Env;
}

/** One process in place of all shims. */
export function nodeProxyCommand(options: NodeProxyOptions): ChildSpec {
	return {
		name: "the node proxy",
		command: process.execPath,
		args: [
			...[MAIN, "proxy", "--workloads", options.workloadsFile, "--hbone", loopback(options.hbonePort)],
			...["--control", options.controlUrl, "--otlp", options.otlpUrl, ...SHIM_FLAGS],
		],
		env: shopEnv(options.env),
	};
}

/** The node proxy's file, which is YAML and so may be JSON. It holds tokens. */
export function workloadsText(
	workloads: readonly PlannedWorkload[],
	own: (workload: PlannedWorkload) => Pick<ShimOptions, "token" | "stateDirectory">,
): string {
	const entries = workloads.flatMap((workload) => {
		if (workload.shim === undefined) return [];
		const { token, stateDirectory } = own(workload);
		return [{ ...shimSettings(workload, workload.shim), token, state: stateDirectory }];
	});
	return `${JSON.stringify({ workloads: entries }, undefined, "\t")}\n`;
}

type ShimSettings = Readonly<Record<string, string | readonly string[]>>;

/** What is a shim's own, by the names that flags and the node proxy's file share. */
function shimSettings({ serves, service, version, appPort }: PlannedWorkload, shim: PlannedShim): ShimSettings {
	const inbound =
		serves === undefined || shim.inboundPort === undefined
			? []
			: [`${loopback(shim.inboundPort)}=${loopback(appPort)}@${serves.servicePort}/${serves.protocol}`];
	return {
		service: `${NAMESPACE}/${service}`,
		version,
		inbound,
		outbound: loopback(shim.outboundPort),
		upstream: shim.upstreams.map((one) => `${loopback(one.port)}=${one.service}:${one.servicePort}`),
	};
}

function flagsOf(settings: ShimSettings): readonly string[] {
	return Object.entries(settings).flatMap(([name, value]) => [value].flat().flatMap((one) => [`--${name}`, one]));
}

export function shimName({ name }: PlannedWorkload): string {
	return `the shim of ${name}`;
}

/** One process for all workloads of a host, except that each Python app has its own. Traffic begins when it is told to. */
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
				args: [...flags, RUN, runArgument(members, requestRate), ...(host === "traffic" ? ["--wait"] : [])],
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

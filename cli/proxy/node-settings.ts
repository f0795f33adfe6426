/**
 * The settings of a node proxy: a YAML file of workloads, each read exactly as the flags of a proxy of its own would be, and the flags that
 * all of them share. Every fault is reported at once, with the workload it concerns.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { formatSpiffeId } from "../../model/mesh/spiffe-id.ts";
import { HBONE_PORT } from "../../proxy-shim/hbone/address.ts";
import { SettingsError } from "../settings.ts";
import type { Fault } from "../settings/sources.ts";
import { formatAddress, nearestWord, parseAddress } from "../settings/values.ts";
import type { ListenAddress } from "../settings/values.ts";
import { NODE_ONLY_OPTIONS, PROXY_OPTIONS } from "./options.ts";
import { loadProxySettings } from "./settings.ts";
import type { ProxyRunSettings, ProxySettingsInput } from "./settings.ts";

export interface NodeSettings {
	readonly workloads: readonly ProxyRunSettings[];
	readonly hbone: ListenAddress;
	/** By which other nodes reach `hbone`. */
	readonly advertise: string | undefined;
	/** What concerns the process as a whole. */
	readonly shared: Pick<ProxyRunSettings, "otlp" | "accessLog" | "drainMs" | "logLevel" | "admin">;
}

const HBONE_DEFAULT = `0.0.0.0:${HBONE_PORT}`;
const MAX_WORKLOADS = 1_000;
/** Of the command line, these would be the same for all workloads, which nobody can mean. */
const EACH_ITS_OWN: readonly string[] = [
	"service",
	"inbound",
	"outbound",
	"upstream",
	"workload",
	"instance-id",
	"token",
	"mtls-cert",
	"mtls-key",
];
/** A workload of a file may be called by everybody else's name for it only once. */
type Entry = Readonly<Record<string, unknown>>;

/** @throws SettingsError that lists every fault */
export function loadNodeSettings(input: ProxySettingsInput): NodeSettings {
	const faults: Fault[] = [];
	for (const name of EACH_ITS_OWN) {
		if (input.flags[name] !== undefined)
			faults.push({ at: `--${name}`, message: "belongs to a workload; write it in the file of --workloads" });
	}
	const file = String(input.flags["workloads"]);
	const entries = readEntries(file, faults);
	const workloads = entries.flatMap((entry, i) => readWorkload(`${file}: workloads[${i}]`, entry, input, i === 0, faults));
	refuseTwins(file, workloads, faults);
	const address = parseAddress(typeof input.flags["hbone"] === "string" ? input.flags["hbone"] : HBONE_DEFAULT);
	if (!address.ok) faults.push({ at: "--hbone", message: address.problem });
	const [first] = workloads;
	if (faults.length > 0 || first === undefined || !address.ok) throw new SettingsError(faults);
	const { advertise } = input.flags;
	const { otlp, accessLog, drainMs, logLevel, admin } = first;
	return Object.freeze({
		// One port for all: a workload has none of its own.
		workloads: workloads.map((workload) => ({ ...workload, admin: undefined })),
		hbone: address.value,
		advertise: typeof advertise === "string" ? advertise.trim() : undefined,
		shared: { otlp, accessLog, drainMs, logLevel, admin },
	});
}

function readEntries(file: string, faults: Fault[]): readonly Entry[] {
	const fault = (message: string): readonly Entry[] => {
		faults.push({ at: file, message });
		return [];
	};
	let text: string;
	try {
		text = readFileSync(file, "utf8");
	} catch (error) {
		return fault(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
	}
	const document = parseDocument(text, { strict: true });
	const [problem] = document.errors;
	if (problem !== undefined) return fault(problem.message.split("\n")[0] ?? "is no YAML");
	const content: unknown = document.toJS({ maxAliasCount: 100 });
	const list: unknown =
		typeof content === "object" && content !== null && "workloads" in content ? content.workloads : undefined;
	if (!Array.isArray(list) || list.length === 0) return fault("needs a list `workloads` with one entry at least");
	if (list.length > MAX_WORKLOADS) return fault(`has ${list.length} workloads; one process takes ${MAX_WORKLOADS}`);
	return list.map((entry: unknown, i) => {
		if (isEntry(entry)) return entry;
		faults.push({ at: `${file}: workloads[${i}]`, message: "must be settings by name, like {service: shop/orders}" });
		return {};
	});
}

function isEntry(value: unknown): value is Entry {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The workload's own settings over those of the command line. */
function readWorkload(
	at: string,
	entry: Entry,
	input: ProxySettingsInput,
	isFirst: boolean,
	faults: Fault[],
): ProxyRunSettings[] {
	const flags: Record<string, unknown> = {};
	for (const [name, value] of Object.entries(input.flags)) {
		if (name !== "workloads" && name !== "hbone" && !EACH_ITS_OWN.includes(name)) flags[name] = value;
	}
	const known = PROXY_OPTIONS.map(({ name }) => name).filter((name) => !NODE_ONLY_OPTIONS.includes(name));
	for (const [name, value] of Object.entries(entry)) {
		if (known.includes(name)) {
			flags[name] = Array.isArray(value) ? value.map(String) : String(value);
			continue;
		}
		const near = nearestWord(name, known);
		const hint = NODE_ONLY_OPTIONS.includes(name) ? `is one for all workloads: give --${name}` : "no such setting";
		faults.push({ at: `${at}.${name}`, message: `${hint}${near === undefined ? "" : `; did you mean ${near}?`}` });
	}
	const { state } = flags;
	// Each workload has a key of its own.
	if (typeof state === "string" && entry["state"] === undefined) {
		flags["state"] = join(
			state,
			String(entry["service"]).replace("/", ".") + (entry["workload"] === undefined ? "" : `.${String(entry["workload"])}`),
		);
	}
	try {
		return [loadProxySettings({ flags, leftover: isFirst ? input.leftover : [], env: input.env })];
	} catch (error) {
		if (!(error instanceof SettingsError)) throw error;
		faults.push(
			...error.faults.map((found) => ({
				at: found.at.startsWith("--") ? `${at}.${found.at.slice(2)}` : found.at,
				message: found.message,
			})),
		);
		return [];
	}
}

function refuseTwins(file: string, workloads: readonly ProxyRunSettings[], faults: Fault[]): void {
	const seen = new Set<string>();
	const take = (key: string, message: string): void => {
		if (seen.has(key)) faults.push({ at: file, message });
		seen.add(key);
	};
	for (const { workload, inbound, outbound, upstreams, policy } of workloads) {
		const { instanceId } = workload;
		take(`instance ${instanceId}`, `two workloads have the instance id ${instanceId}; name one by instance-id`);
		if (policy.kind === "control")
			take(
				`state ${policy.stateDirectory}`,
				`two workloads keep their keys in ${policy.stateDirectory}; give each a state`,
			);
		const listens = [
			...inbound.map(({ listen }) => listen),
			...(outbound === undefined ? [] : [outbound]),
			...upstreams.map(({ listen }) => listen),
		];
		for (const listen of listens) {
			if (listen.port !== 0)
				take(formatAddress(listen), `${formatAddress(listen)} is given twice; each listener needs an address of its own`);
		}
		// Names that make no identity are a fault of the file, not of the process that runs later.
		try {
			formatSpiffeId(workload);
		} catch (error) {
			faults.push({ at: file, message: error instanceof Error ? error.message : String(error) });
		}
	}
}

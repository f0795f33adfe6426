/**
 * Settings of the server: defaults, then the YAML file, then the environment, then flags, in rising order, parsed once into one frozen
 * object before a port is bound. Every layer is checked whole, so that one start reports every fault with the place it stands at.
 */
import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import type { ScrapeTarget } from "../collector/scrape/settings.ts";
import { targetName } from "../collector/scrape/settings.ts";
import { OPTIONS } from "./settings/options.ts";
import { parseLayer, token } from "./settings/schema.ts";
import type { LayerValues, LogLevel, Values } from "./settings/schema.ts";
import { readEnvLayer, readFlagLayer, readYamlLayer } from "./settings/sources.ts";
import type { Fault, Given, Layer } from "./settings/sources.ts";
import { formatAddress, isLoopback } from "./settings/values.ts";
import type { ListenAddress } from "./settings/values.ts";

export const DEFAULT_CONFIG_FILE = "meshscope.yaml";

export interface TlsSettings {
	/** PEM texts. */
	readonly cert: string;
	readonly key: string;
	/** Senders must show a certificate of this CA. */
	readonly clientCa: string | undefined;
}

export interface MeshSettings {
	/** Of mesh.yaml, or of a directory; absolute. */
	readonly path: string;
	readonly control: ListenAddress;
	readonly trustDomain: string;
	readonly certTtlMs: number;
}

export interface Settings {
	/** Absolute. */
	readonly dataDirectory: string;
	readonly http: ListenAddress;
	readonly otlpGrpc: ListenAddress | undefined;
	readonly otlpHttp: ListenAddress | undefined;
	readonly zipkin: ListenAddress | undefined;
	readonly retentionMs: number;
	readonly maxDiskBytes: number;
	readonly windowMs: number;
	readonly ingestTokens: readonly string[];
	readonly readTokens: readonly string[];
	readonly tls: TlsSettings | undefined;
	readonly insecureBind: boolean;
	readonly allowHosts: readonly string[];
	readonly maxPayloadBytes: number;
	readonly maxAttributes: number;
	readonly maxRecordBytes: number;
	readonly queueBytes: number;
	readonly scrape: readonly ScrapeTarget[];
	/** The control plane; undefined when none runs. */
	readonly mesh: MeshSettings | undefined;
	readonly readers: number;
	readonly logLevel: LogLevel;
	/** Endpoint for our own telemetry; undefined when off. */
	readonly selfTelemetry: string | undefined;
}

export interface SettingsInput {
	/** By option name, as the command line gave them; `config` is the file. */
	readonly flags: Readonly<Record<string, unknown>>;
	/** Words of the command line that were no known flag. */
	readonly leftover: readonly string[];
	readonly env: Readonly<Record<string, string | undefined>>;
	/** @throws when the file cannot be read */
	readonly readFile: (path: string) => string;
}

export interface LoadedSettings {
	readonly settings: Settings;
	/** Effective values with their sources, secrets masked. */
	readonly print: () => string;
}

export class SettingsError extends Error {
	override readonly name = "SettingsError";
	readonly faults: readonly Fault[];

	constructor(faults: readonly Fault[]) {
		super(faults.map((fault) => `${fault.at}: ${fault.message}`).join("\n"));
		this.faults = faults;
	}
}

/**
 * @throws SettingsError that lists every fault
 */
export function loadSettings(input: SettingsInput): LoadedSettings {
	const faults: Fault[] = [];
	const fileName = typeof input.flags["config"] === "string" ? input.flags["config"] : input.env["MESHSCOPE_CONFIG"];
	const file = readConfig(fileName, input.readFile, faults);
	const layers: Layer[] = [defaultsLayer()];
	for (const result of [
		file === undefined ? { layer: new Map(), faults: [] } : readYamlLayer(file.text, file.name),
		readEnvLayer(input.env),
		readFlagLayer(input.flags, input.leftover),
	]) {
		layers.push(result.layer);
		faults.push(...result.faults);
	}

	const given = new Map<string, Given>();
	const values: LayerValues = {};
	for (const layer of layers) {
		const [parsed, problems] = parseLayer(layer);
		faults.push(...problems);
		Object.assign(values, parsed);
		for (const [name, entry] of layer) given.set(name, entry);
	}
	const at = (name: string): string => given.get(name)?.at ?? `--${name}`;
	// Faulty values are absent; the checks across settings then go by the defaults, so that one wrong value hides no other fault.
	const complete = { ...parseLayer(defaultsLayer())[0], ...values } as Values;
	const tokens = {
		ingest: [
			...(complete["ingest-token"] ?? []),
			...readTokens(complete["ingest-token-file"], at("ingest-token-file"), input, faults),
		],
		read: [
			...(complete["read-token"] ?? []),
			...readTokens(complete["read-token-file"], at("read-token-file"), input, faults),
		],
	};
	const tls = readTls(complete, at, input, faults);
	const disabled = input.env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true";
	const settings: Settings = {
		dataDirectory: resolve(complete.data),
		http: complete.http,
		otlpGrpc: unlessOff(complete["otlp-grpc"]),
		otlpHttp: unlessOff(complete["otlp-http"]),
		zipkin: unlessOff(complete.zipkin),
		retentionMs: complete.retention,
		maxDiskBytes: complete["max-disk"],
		windowMs: complete.window,
		ingestTokens: tokens.ingest,
		readTokens: tokens.read,
		tls,
		insecureBind: complete["insecure-bind"],
		allowHosts: complete["allow-host"] ?? [],
		maxPayloadBytes: complete["max-payload"],
		maxAttributes: complete["max-attributes"],
		maxRecordBytes: complete["max-record"],
		queueBytes: complete["queue-bytes"],
		scrape: complete.scrape ?? [],
		mesh: complete.mesh === undefined ? undefined : meshOf(complete, complete.mesh),
		readers: complete.readers,
		logLevel: complete["log-level"],
		selfTelemetry: disabled ? undefined : unlessOff(complete["self-telemetry"]),
	};
	faults.push(...crossFaults(settings, at));
	if (faults.length > 0) throw new SettingsError(faults);
	return { settings: deepFreeze(settings), print: () => printSettings(given) };
}

/**
 * The data directory alone, for commands that read it beside a server: faults of other settings are none of their business.
 * @throws SettingsError
 */
export function loadDataDirectory(input: SettingsInput): string {
	const faults: Fault[] = [];
	const fileName = typeof input.flags["config"] === "string" ? input.flags["config"] : input.env["MESHSCOPE_CONFIG"];
	const file = readConfig(fileName, input.readFile, faults);
	const fromFile = file === undefined ? undefined : readYamlLayer(file.text, file.name).layer.get("data");
	const fromEnv = readEnvLayer(input.env).layer.get("data");
	const fromFlags = readFlagLayer(input.flags, []).layer.get("data");
	if (faults.length > 0) throw new SettingsError(faults);
	return resolve((fromFlags ?? fromEnv ?? fromFile ?? defaultsLayer().get("data"))?.texts.at(-1) ?? "");
}

function meshOf(values: Values, path: string): MeshSettings {
	return {
		path: resolve(path),
		control: values.control,
		trustDomain: values["trust-domain"],
		certTtlMs: values["cert-ttl"],
	};
}

function readConfig(
	name: string | undefined,
	readFile: SettingsInput["readFile"],
	faults: Fault[],
): { text: string; name: string } | undefined {
	try {
		return { text: readFile(name ?? DEFAULT_CONFIG_FILE), name: name ?? DEFAULT_CONFIG_FILE };
	} catch (error) {
		const absent = error instanceof Error && "code" in error && error.code === "ENOENT";
		if (name !== undefined || !absent)
			faults.push({ at: name ?? DEFAULT_CONFIG_FILE, message: `cannot be read (${reasonOf(error)})` });
		return undefined;
	}
}

function defaultsLayer(): Layer {
	const layer = new Map<string, Given>();
	for (const spec of OPTIONS) {
		if (spec.default !== undefined) layer.set(spec.name, { texts: [spec.default], at: `--${spec.name}`, source: "default" });
	}
	return layer;
}

function readTokens(files: readonly string[] | undefined, at: string, input: SettingsInput, faults: Fault[]): string[] {
	const tokens: string[] = [];
	for (const path of files ?? []) {
		const text = readSettingFile(path, at, input, faults);
		if (text === undefined) continue;
		const lines = text.split(/\r?\n/).map((line) => line.trim());
		const found = lines.filter((line) => line !== "" && !line.startsWith("#"));
		if (found.length === 0) faults.push({ at, message: `${path} holds no token` });
		// The token itself is never shown, its line is.
		const wrong = found.find((line) => !token.safeParse(line).success);
		if (wrong !== undefined) {
			faults.push({
				at,
				message: `${path}:${lines.indexOf(wrong) + 1} must be at least 8 visible ASCII characters without spaces`,
			});
		}
		tokens.push(...found);
	}
	return tokens;
}

function readTls(values: Values, at: (name: string) => string, input: SettingsInput, faults: Fault[]): TlsSettings | undefined {
	const { "tls-cert": certPath, "tls-key": keyPath, "tls-client-ca": caPath } = values;
	if (certPath === undefined && keyPath === undefined && caPath === undefined) return undefined;
	if (certPath === undefined)
		faults.push({ at: at(keyPath === undefined ? "tls-client-ca" : "tls-key"), message: "needs --tls-cert as well" });
	if (keyPath === undefined)
		faults.push({ at: at(certPath === undefined ? "tls-client-ca" : "tls-cert"), message: "needs --tls-key as well" });
	const texts = new Map<string, string | undefined>();
	for (const [name, path] of [
		["tls-cert", certPath],
		["tls-key", keyPath],
		["tls-client-ca", caPath],
	] as const) {
		if (path !== undefined) texts.set(name, readSettingFile(path, at(name), input, faults));
	}
	for (const name of ["tls-cert", "tls-client-ca"]) {
		const text = texts.get(name);
		if (text !== undefined && !isCertificate(text)) faults.push({ at: at(name), message: "holds no PEM certificate" });
	}
	const cert = texts.get("tls-cert");
	const key = texts.get("tls-key");
	return cert === undefined || key === undefined ? undefined : { cert, key, clientCa: texts.get("tls-client-ca") };
}

function isCertificate(pem: string): boolean {
	try {
		return new X509Certificate(pem).raw.length > 0;
	} catch {
		return false;
	}
}

function readSettingFile(path: string, at: string, input: SettingsInput, faults: Fault[]): string | undefined {
	try {
		return input.readFile(path);
	} catch (error) {
		faults.push({ at, message: `${path} cannot be read (${reasonOf(error)})` });
		return undefined;
	}
}

/** What no single setting can know. */
function crossFaults(settings: Settings, at: (name: string) => string): Fault[] {
	const faults: Fault[] = [];
	const listeners = [
		["http", settings.http],
		["otlp-grpc", settings.otlpGrpc],
		["otlp-http", settings.otlpHttp],
		["zipkin", settings.zipkin],
		["control", settings.mesh?.control],
	] as const;
	for (const [index, [name, address]] of listeners.entries()) {
		if (address === undefined) continue;
		const before = listeners.slice(0, index).find(([, earlier]) => earlier !== undefined && overlaps(earlier, address));
		if (before !== undefined)
			faults.push({ at: at(name), message: `port ${address.port} is already that of --${before[0]}` });
		// Proxies show a token or a certificate on every connection, wherever they come from.
		if (name === "control" || settings.insecureBind || isLoopback(address.host)) continue;
		const guarded = name === "http" ? settings.readTokens.length > 0 : settings.ingestTokens.length > 0;
		if (guarded || settings.tls?.clientCa !== undefined) continue;
		const tokenFlag = name === "http" ? "--read-token" : "--ingest-token";
		faults.push({
			at: at(name),
			message:
				`${formatAddress(address)} can be reached from other machines, so it needs ${tokenFlag} or --tls-client-ca; ` +
				"--insecure-bind opens it without either",
		});
	}
	const names = settings.scrape.map(({ url }) => targetName(url));
	const twice = names.find((name, index) => names.indexOf(name) !== index);
	if (twice !== undefined) faults.push({ at: at("scrape"), message: `${twice} is there twice` });
	if (settings.queueBytes < settings.maxPayloadBytes) {
		faults.push({
			at: at("queue-bytes"),
			message: "must not be smaller than --max-payload, or the largest payload could never be accepted",
		});
	}
	if (settings.maxRecordBytes > settings.maxPayloadBytes) {
		faults.push({ at: at("max-record"), message: "must not be larger than --max-payload" });
	}
	if (settings.retentionMs < settings.windowMs) {
		faults.push({ at: at("retention"), message: "must not be shorter than --window: windows are removed whole" });
	}
	return faults;
}

function overlaps(a: ListenAddress, b: ListenAddress): boolean {
	const everywhere = (host: string): boolean => host === "::" || host === "0.0.0.0";
	return a.port !== 0 && a.port === b.port && (a.host === b.host || everywhere(a.host) || everywhere(b.host));
}

/** YAML that could serve as settings file, but for the masked secrets. */
function printSettings(given: ReadonlyMap<string, Given>): string {
	const lines = OPTIONS.map((spec) => {
		const entry = given.get(spec.name);
		if (entry === undefined) return `# ${spec.name}: not set`;
		const shown = entry.texts.map((text) => (spec.secret ? '"***"' : yamlScalar(text)));
		const value = spec.repeatable ? `[${shown.join(", ")}]` : (shown.at(-1) ?? "");
		return `${`${spec.name}: ${value}`.padEnd(40)} # ${entry.source}`;
	});
	return `${lines.join("\n")}\n`;
}

function yamlScalar(text: string): string {
	return /^[\w./][\w./:-]*$/.test(text) && !text.endsWith(":") ? text : JSON.stringify(text);
}

function unlessOff<T>(value: T | "off"): T | undefined {
	return value === "off" ? undefined : value;
}

function reasonOf(error: unknown): string {
	if (error instanceof Error && "code" in error && error.code === "ENOENT") return "no such file";
	return error instanceof Error ? error.message : String(error);
}

function deepFreeze<T>(value: T): T {
	if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
		Object.freeze(value);
		for (const inner of Object.values(value)) deepFreeze(inner);
	}
	return value;
}

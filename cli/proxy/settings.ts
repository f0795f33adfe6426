/**
 * The proxy's flags as one frozen object, parsed and checked before a port is bound; every fault is reported at once, each with its
 * flag.
 */
import { hostname } from "node:os";
import type { Workload } from "../../model/mesh/proxy-config.ts";
import type { InboundSettings, ProxySettings, UpstreamSettings } from "../../proxy-shim/proxy.ts";
import { parseJoinToken } from "../../model/mesh/join-token.ts";
import { isTrustDomain } from "../../model/mesh/spiffe-id.ts";
import { SettingsError } from "../settings.ts";
import { LOG_LEVELS } from "../settings/schema.ts";
import type { LogLevel } from "../settings/schema.ts";
import type { Fault } from "../settings/sources.ts";
import { formatAddress, nearestWord, parseAddress } from "../settings/values.ts";
import type { ListenAddress } from "../settings/values.ts";
import { DEFAULT_OTLP_URL, PROXY_OPTIONS } from "./options.ts";

export interface ProxyRunSettings extends ProxySettings {
	readonly policy:
		| { readonly kind: "files"; readonly path: string }
		| {
				readonly kind: "control";
				readonly address: ListenAddress;
				readonly token: string | undefined;
				readonly tokenFile: string | undefined;
				readonly stateDirectory: string;
		  };
	readonly mtls: { readonly certificateFile: string; readonly keyFile: string; readonly rootsFile: string } | undefined;
	readonly advertise: string | undefined;
	readonly otlp: { readonly url: string; readonly token: string | undefined } | undefined;
	readonly sampling: number;
	readonly accessLog: string | undefined;
	readonly admin: ListenAddress | undefined;
	/** A path of the app's, or `tcp`. */
	readonly health: string | undefined;
	readonly drainMs: number;
	readonly logLevel: LogLevel;
}

export interface ProxySettingsInput {
	/** By option name. */
	readonly flags: Readonly<Record<string, unknown>>;
	/** Words of the command line that were no known flag. */
	readonly leftover: readonly string[];
	readonly env: Readonly<Record<string, string | undefined>>;
}

const PROTOCOLS = ["http", "http2", "grpc", "tcp"] as const;
/** RFC 1123 label, as Kubernetes names things. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LABEL = /^[A-Za-z0-9](?:[\w./-]{0,251}[A-Za-z0-9])?$/;
const MAX_DRAIN_SECONDS = 3_600;

/** @throws SettingsError that lists every fault */
export function loadProxySettings(input: ProxySettingsInput): ProxyRunSettings {
	const faults: Fault[] = [];
	const fault = (flag: string, message: string): void => void faults.push({ at: `--${flag}`, message });
	const one = (name: string): string | undefined => {
		const value = input.flags[name];
		return typeof value === "string" ? value.trim() : undefined;
	};
	const many = (name: string): readonly string[] => {
		const value = input.flags[name];
		return Array.isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [];
	};
	for (const word of input.leftover) faults.push(unexpected(word));

	const workload = readWorkload(one, many, fault);
	const inbound = many("inbound").flatMap((text) => readInbound(text, fault));
	const outbound = readAddress("outbound", one("outbound"), fault);
	const upstreams = many("upstream").flatMap((text) => readUpstream(text, fault));
	if (many("inbound").length + many("upstream").length === 0 && one("outbound") === undefined) {
		fault("inbound", "there is nothing to do: give --inbound, --outbound or --upstream");
	}
	refuseSamePorts(
		[
			...inbound.map(({ listen }) => listen),
			...(outbound === undefined ? [] : [outbound]),
			...upstreams.map(({ listen }) => listen),
		],
		fault,
	);
	const settings: ProxyRunSettings = {
		workload: { ...workload, instanceId: workload.instanceId === "" ? instanceIdOf(workload, inbound) : workload.instanceId },
		inbound,
		outbound,
		upstreams,
		policy: readPolicySource(one, input.env, fault),
		mtls: readMtls(one, fault),
		advertise: one("advertise"),
		otlp: readOtlp(one, fault),
		sampling: readSampling(one("sampling"), fault),
		accessLog: unlessOff(one("access-log")),
		admin: readAddress("admin", unlessOff(one("admin")), fault),
		health: readHealth(unlessOff(one("health")), inbound, fault),
		drainMs: readDrain(one("drain-seconds"), fault) * 1_000,
		logLevel: readLogLevel(one("log-level"), fault),
	};
	if (faults.length > 0) throw new SettingsError(faults);
	return Object.freeze(settings);
}

type One = (name: string) => string | undefined;
type Many = (name: string) => readonly string[];
type Tell = (flag: string, message: string) => void;

function unexpected(word: string): Fault {
	const name = /^--([\w-]+)/.exec(word)?.[1];
	if (name === undefined) return { at: word, message: "is no flag" };
	const near = nearestWord(
		name,
		PROXY_OPTIONS.map((option) => option.name),
	);
	return { at: `--${name}`, message: `no such flag${near === undefined ? "" : `; did you mean --${near}?`}` };
}

function readWorkload(one: One, many: Many, fault: Tell): Workload {
	const [namespace = "", service = "", more] = (one("service") ?? "").split("/");
	if (one("service") === undefined) fault("service", "is needed: NAMESPACE/NAME");
	else if (!NAME.test(namespace) || !NAME.test(service) || more !== undefined) {
		fault("service", `${JSON.stringify(one("service"))} is not NAMESPACE/NAME in lower-case letters, digits and dashes`);
	}
	const version = one("version") ?? "v1";
	if (!LABEL.test(version)) fault("version", `${JSON.stringify(version)} cannot be a label`);
	const serviceAccount = one("service-account") ?? service;
	if (one("service-account") !== undefined && !NAME.test(serviceAccount)) {
		fault("service-account", `${JSON.stringify(serviceAccount)} is not a name in lower-case letters, digits and dashes`);
	}
	const trustDomain = one("trust-domain") ?? "cluster.local";
	if (!isTrustDomain(trustDomain))
		fault("trust-domain", `${JSON.stringify(trustDomain)} is not a trust domain, like cluster.local`);
	const labels: Record<string, string> = { app: service, version };
	for (const text of many("label")) {
		const at = text.indexOf("=");
		const [key, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
		if (at <= 0 || !LABEL.test(key)) fault("label", `${JSON.stringify(text)} is not KEY=VALUE`);
		else labels[key] = value;
	}
	return {
		trustDomain,
		namespace,
		service,
		workload: one("workload") ?? `${service}-${version}`,
		version,
		serviceAccount,
		instanceId: one("instance-id") ?? "",
		labels,
	};
}

/** The same after a restart on the same host and port, so that the registry knows it again. */
function instanceIdOf(workload: Workload, inbound: readonly InboundSettings[]): string {
	const port = inbound.find(({ listen }) => listen.port !== 0)?.listen.port ?? process.pid;
	return `${workload.workload}-${hostname().toLowerCase()}-${port}`;
}

function readInbound(text: string, fault: Tell): InboundSettings[] {
	const match = /^(\S+?)=(\S+?)(?:@(\d{1,5})(?:\/([a-z0-9]+))?)?$/.exec(text.trim());
	if (match === null) {
		fault("inbound", `${JSON.stringify(text)} is not ADDR=APP[@PORT[/PROTO]], like 0.0.0.0:15006=127.0.0.1:8080@80/http`);
		return [];
	}
	const [, listenText = "", appText = "", portText, protocolText = "http"] = match;
	const listen = parseAddress(listenText);
	const app = parseAddress(appText);
	if (!listen.ok) fault("inbound", listen.problem);
	if (!app.ok) fault("inbound", app.problem);
	const protocol = PROTOCOLS.find((known) => known === protocolText);
	if (protocol === undefined)
		fault("inbound", `${JSON.stringify(protocolText)} is no protocol; write one of ${PROTOCOLS.join(", ")}`);
	const servicePort = portText === undefined ? (app.ok ? app.value.port : 0) : Number(portText);
	if (servicePort < 1 || servicePort > 65_535) fault("inbound", `${servicePort} is not a port from 1 to 65535`);
	if (!listen.ok || !app.ok || protocol === undefined) return [];
	if (app.value.port === 0) fault("inbound", `${JSON.stringify(appText)} names no port of the app`);
	const appHost = app.value.host === "::" ? "127.0.0.1" : app.value.host;
	return [{ listen: listen.value, app: { ...app.value, host: appHost }, servicePort, protocol }];
}

function readUpstream(text: string, fault: Tell): UpstreamSettings[] {
	const match = /^(\S+?)=([^\s:/]+):(\d{1,5})$/.exec(text.trim());
	const port = Number(match?.[3] ?? 0);
	if (match === null || port < 1 || port > 65_535) {
		fault("upstream", `${JSON.stringify(text)} is not ADDR=HOST:PORT, like 127.0.0.1:9001=orders:8080`);
		return [];
	}
	const listen = parseAddress(match[1]!);
	if (!listen.ok) {
		fault("upstream", listen.problem);
		return [];
	}
	return [{ listen: listen.value, host: match[2]!.toLowerCase(), port }];
}

function readAddress(flag: string, text: string | undefined, fault: Tell): ListenAddress | undefined {
	if (text === undefined) return undefined;
	const address = parseAddress(text);
	if (address.ok) return address.value;
	fault(flag, address.problem);
	return undefined;
}

function refuseSamePorts(addresses: readonly ListenAddress[], fault: Tell): void {
	const seen = new Set<string>();
	for (const address of addresses) {
		const text = formatAddress(address);
		if (address.port !== 0 && seen.has(text))
			fault("inbound", `${text} is given twice; each listener needs an address of its own`);
		seen.add(text);
	}
}

function readPolicySource(one: One, env: ProxySettingsInput["env"], fault: Tell): ProxyRunSettings["policy"] {
	const mesh = one("mesh");
	const control = one("control");
	if (mesh !== undefined && control !== undefined)
		fault("control", "policy comes from one place: give --mesh or --control, not both");
	if (mesh === undefined && control === undefined) fault("mesh", "is needed, or --control: where does policy come from?");
	if (control === undefined) {
		for (const name of ["token", "token-file", "state"])
			if (one(name) !== undefined) fault(name, "means something only with --control");
		return { kind: "files", path: mesh ?? "" };
	}
	const address = parseAddress(control.replace(/^https:\/\//, "").replace(/\/$/, ""));
	if (!address.ok || address.value.port === 0) fault("control", `${JSON.stringify(control)} is not https://HOST:PORT`);
	const token = one("token") ?? env["MESHSCOPE_JOIN_TOKEN"]?.trim();
	if (one("token") !== undefined && one("token-file") !== undefined)
		fault("token-file", "give --token or --token-file, not both");
	if (token !== undefined && parseJoinToken(token) === undefined) {
		fault("token", "is not a join token; make one with `meshscope control token`");
	}
	const stateDirectory = one("state");
	if (stateDirectory === undefined) fault("state", "is needed with --control: key and certificate are kept there");
	return {
		kind: "control",
		address: address.ok ? address.value : { host: "", port: 0 },
		token,
		tokenFile: one("token-file"),
		stateDirectory: stateDirectory ?? "",
	};
}

function readMtls(one: One, fault: Tell): ProxyRunSettings["mtls"] {
	const names = ["mtls-cert", "mtls-key", "mtls-ca"] as const;
	const given = names.filter((name) => one(name) !== undefined);
	if (given.length === 0) return undefined;
	if (one("control") !== undefined) fault(given[0]!, "the control plane issues the certificate; files are for --mesh");
	for (const name of names) if (one(name) === undefined) fault(name, `is needed with --${given[0]}`);
	return { certificateFile: one("mtls-cert") ?? "", keyFile: one("mtls-key") ?? "", rootsFile: one("mtls-ca") ?? "" };
}

function readOtlp(one: One, fault: Tell): ProxyRunSettings["otlp"] {
	const url = unlessOff(one("otlp") ?? DEFAULT_OTLP_URL);
	if (url === undefined) return undefined;
	const text = url.includes("://") ? url : `http://${url}`;
	if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
		fault("otlp", `${JSON.stringify(url)} is not a URL, like http://127.0.0.1:4317`);
	}
	return { url: text, token: one("otlp-token") };
}

function readSampling(text: string | undefined, fault: Tell): number {
	const ratio = text === undefined ? 1 : Number(text);
	if (text === "" || !(ratio >= 0 && ratio <= 1)) fault("sampling", `${JSON.stringify(text)} is not a share from 0 to 1`);
	return ratio;
}

function readHealth(text: string | undefined, inbound: readonly InboundSettings[], fault: Tell): string | undefined {
	if (text === undefined) return undefined;
	if (text !== "tcp" && !text.startsWith("/")) fault("health", `${JSON.stringify(text)} is neither a path nor tcp`);
	if (inbound.length === 0) fault("health", "there is no app to look at without --inbound");
	return text;
}

function readDrain(text: string | undefined, fault: Tell): number {
	const seconds = text === undefined ? 9 : Number(text);
	if (text === "" || !(seconds >= 0 && seconds <= MAX_DRAIN_SECONDS)) {
		fault("drain-seconds", `${JSON.stringify(text)} is not a number of seconds up to ${MAX_DRAIN_SECONDS}`);
	}
	return seconds;
}

function readLogLevel(text: string | undefined, fault: Tell): LogLevel {
	const level = LOG_LEVELS.find((known) => known === (text ?? "info"));
	if (level === undefined) fault("log-level", `${JSON.stringify(text)} is none of ${LOG_LEVELS.join(", ")}`);
	return level ?? "info";
}

function unlessOff(text: string | undefined): string | undefined {
	return text === "off" || text === "" ? undefined : text;
}

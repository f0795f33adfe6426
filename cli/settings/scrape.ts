/** Targets of the scraper as a person writes them: a URL, or in the file a map of one target or of all. */
import { z } from "zod";
import { isRefusedHost } from "../../collector/scrape/address-guard.ts";
import type { ScrapeTarget } from "../../collector/scrape/settings.ts";
import { parseDurationMs } from "./values.ts";
import type { Parsed } from "./values.ts";

/** See scraper.ts for why. */
const DEFAULT_INTERVAL_MS = 5_000;
const DEFAULT_TIMEOUT_MS = 4_000;

const duration = z.string().transform((text, context): number => {
	const parsed = parseDurationMs(text);
	const problem = !parsed.ok
		? parsed.problem
		: parsed.value < 1_000 || parsed.value > 3_600_000
			? "must lie between 1s and 1h"
			: undefined;
	if (parsed.ok && problem === undefined) return parsed.value;
	context.addIssue({ code: "custom", message: problem ?? "cannot be read" });
	return z.NEVER;
});

const relabel = z.string().transform((text, context): RegExp => {
	try {
		return new RegExp(text, "u");
	} catch {
		context.addIssue({ code: "custom", message: "is no regular expression" });
		return z.NEVER;
	}
});

const plain = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const path = z.string().min(1);

const targetMap = z.strictObject({
	url: z.string(),
	interval: duration.optional(),
	timeout: duration.optional(),
	service: plain.optional(),
	namespace: plain.optional(),
	workload: plain.optional(),
	/** Resource attributes by name. */
	labels: z.record(z.string().min(1), plain).optional(),
	/** Over the URL's host; its named groups `service`, `namespace` and `workload` fill what is not given, others are labels. */
	relabel: relabel.optional(),
	bearerTokenFile: path.optional(),
	caFile: path.optional(),
	certFile: path.optional(),
	keyFile: path.optional(),
	serverName: path.optional(),
});
type TargetMap = z.output<typeof targetMap>;

const scrapeMap = z.strictObject({
	interval: duration.optional(),
	timeout: duration.optional(),
	relabel: relabel.optional(),
	targets: z.array(z.union([z.string().transform((url): TargetMap => ({ url })), targetMap])).min(1, "holds no target"),
});
type Defaults = Partial<Omit<z.output<typeof scrapeMap>, "targets">>;

/** A URL, or the JSON of one of the maps. */
export function parseScrape(text: string): Parsed<readonly ScrapeTarget[]> {
	try {
		if (!text.trimStart().startsWith("{")) return { ok: true, value: [targetOf({ url: text.trim() }, {})] };
		const given: unknown = JSON.parse(text);
		if (typeof given === "object" && given !== null && "targets" in given) {
			const parsed = scrapeMap.safeParse(given);
			if (!parsed.success) return { ok: false, problem: problemsOf(parsed.error) };
			return { ok: true, value: parsed.data.targets.map((one) => targetOf(one, parsed.data)) };
		}
		const parsed = targetMap.safeParse(given);
		return parsed.success
			? { ok: true, value: [targetOf(parsed.data, {})] }
			: { ok: false, problem: problemsOf(parsed.error) };
	} catch (error) {
		if (error instanceof TargetError) return { ok: false, problem: error.message };
		if (error instanceof SyntaxError) return { ok: false, problem: "is no map and no URL" };
		throw error;
	}
}

class TargetError extends Error {}

function problemsOf(error: z.ZodError): string {
	return error.issues.map(({ path: at, message }) => (at.length === 0 ? message : `${at.join(".")}: ${message}`)).join("; ");
}

function targetOf(given: TargetMap, defaults: Defaults): ScrapeTarget {
	const url = checkedUrl(given.url);
	const host = url.hostname.replace(/^\[|\]$/g, "");
	const { service, namespace, workload, ...labels } = captured(given.relabel ?? defaults.relabel, host);
	const ownWorkload = given.workload ?? workload;
	const ownNamespace = given.namespace ?? namespace;
	const intervalMs = given.interval ?? defaults.interval ?? DEFAULT_INTERVAL_MS;
	const timeoutMs = given.timeout ?? defaults.timeout ?? Math.min(DEFAULT_TIMEOUT_MS, intervalMs);
	if (timeoutMs > intervalMs) throw new TargetError(`${url.host}: the timeout must not be longer than the interval`);
	if ((given.certFile === undefined) !== (given.keyFile === undefined))
		throw new TargetError(`${url.host}: certFile and keyFile are given together`);
	return {
		url: url.href,
		intervalMs,
		timeoutMs,
		attributes: {
			"service.name": given.service ?? service ?? ownWorkload ?? host,
			"service.instance.id": url.host,
			...(ownNamespace === undefined ? {} : { "k8s.namespace.name": ownNamespace }),
			...(ownWorkload === undefined ? {} : { "k8s.deployment.name": ownWorkload }),
			...labels,
			...given.labels,
		},
		bearerTokenFile: given.bearerTokenFile,
		tlsCaFile: given.caFile,
		tlsCertFile: given.certFile,
		tlsKeyFile: given.keyFile,
		tlsServerName: given.serverName,
	};
}

/** The URL is not repeated where it may hold a password. */
function checkedUrl(text: string): URL {
	if (!/^https?:\/\/[^\s/]/i.test(text) || !URL.canParse(text))
		throw new TargetError("needs a URL with http or https, like http://10.0.0.7:15020/stats/prometheus");
	const url = new URL(text);
	if (url.username !== "" || url.password !== "")
		throw new TargetError(
			`the URL for ${url.host} holds credentials, which would show in logs; put a token into a bearerTokenFile`,
		);
	if (isRefusedHost(url.hostname.replace(/^\[|\]$/g, "")))
		throw new TargetError(`${url.host} is refused: link-local and metadata addresses are not scraped`);
	url.hash = "";
	return url;
}

function captured(pattern: RegExp | undefined, host: string): Readonly<Record<string, string>> {
	const groups = pattern?.exec(host)?.groups ?? {};
	return Object.fromEntries(Object.entries(groups).filter(([, value]) => value !== undefined && value !== ""));
}

/**
 * What each setting may hold: zod schemas from the texts of one layer to values, with every problem named after its option.
 */
import { z } from "zod";
import { trustDomainProblem } from "../../model/mesh/policy/spiffe.ts";
import { parseScrape } from "./scrape.ts";
import type { Fault, Layer } from "./sources.ts";
import { parseAddress, parseBoolean, parseCount, parseDurationMs, parseSize } from "./values.ts";
import type { Parsed } from "./values.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A zod string that becomes whatever `parse` reads. */
function read<T>(parse: (text: string) => Parsed<T>, check?: (value: T) => string | undefined) {
	return z.string().transform((text, context): T => {
		const parsed = parse(text);
		const problem = parsed.ok ? check?.(parsed.value) : parsed.problem;
		if (parsed.ok && problem === undefined) return parsed.value;
		context.addIssue({ code: "custom", message: problem ?? "cannot be read" });
		return z.NEVER;
	});
}

/** One of the repeated texts; lists and single values arrive alike. */
function single<T>(schema: z.ZodType<T, string>) {
	// The last one counts, as with any flag that is given twice.
	return z
		.array(z.string())
		.transform((texts) => texts.at(-1) ?? "")
		.pipe(schema);
}

function between(low: number, high: number, show: (value: number) => string = String): (value: number) => string | undefined {
	return (value) => (value < low || value > high ? `must lie between ${show(low)} and ${show(high)}` : undefined);
}

const notEmpty = z.string().min(1, "must not be empty");
const switchable = <T>(parse: (text: string) => Parsed<T>) =>
	read((text): Parsed<T | "off"> => (text === "off" || text === "false" ? { ok: true, value: "off" } : parse(text)));
const size = (low: number, high: number) =>
	single(
		read(
			parseSize,
			between(low, high, (bytes) => `${bytes} bytes`),
		),
	);
const count = (low: number, high: number) => single(read(parseCount, between(low, high)));
const duration = (low: string, high: string) =>
	single(
		read(parseDurationMs, (ms) =>
			ms < durationOf(low) || ms > durationOf(high) ? `must lie between ${low} and ${high}` : undefined,
		),
	);
/** A bearer token, as it can stand in a header. */
export const token = z.string().regex(/^[\x21-\x7e]{8,4096}$/, "must be at least 8 visible ASCII characters without spaces");
const url = (text: string): Parsed<string> =>
	/^https?:\/\/[^\s/]+/i.test(text) && URL.canParse(text)
		? { ok: true, value: text }
		: { ok: false, problem: "is not a URL; write it like http://127.0.0.1:4317" };

const MIB = 2 ** 20;

/** By option name: what each layer may hold. */
const COMPLETE_SCHEMA = z.object({
	data: single(notEmpty),
	http: single(read(parseAddress)),
	"otlp-grpc": single(switchable(parseAddress)),
	"otlp-http": single(switchable(parseAddress)),
	zipkin: single(switchable(parseAddress)),
	retention: duration("1m", "36500d"),
	"max-disk": size(MIB, Number.MAX_SAFE_INTEGER),
	"ingest-token": z.array(token),
	"ingest-token-file": z.array(notEmpty),
	"read-token": z.array(token),
	"read-token-file": z.array(notEmpty),
	"tls-cert": single(notEmpty),
	"tls-key": single(notEmpty),
	"tls-client-ca": single(notEmpty),
	"insecure-bind": single(read(parseBoolean)),
	"allow-host": z.array(z.string().regex(/^[\w.-]+$|^\[[0-9a-f:]+\]$/i, "must be a host name without scheme and port")),
	"max-payload": size(1024, 1024 * MIB),
	"max-attributes": count(1, 65_535),
	"max-record": size(1024, 1024 * MIB),
	"queue-bytes": size(MIB, 64 * 1024 * MIB),
	scrape: z.array(read(parseScrape)).transform((groups) => groups.flat()),
	mesh: single(notEmpty),
	control: single(read(parseAddress)),
	"trust-domain": single(
		z
			.string()
			.refine(
				(name) => trustDomainProblem(name) === undefined,
				"must be lower-case letters, digits, dots, dashes and underscores, like cluster.local",
			),
	),
	"cert-ttl": duration("1s", "90d"),
	readers: count(1, 64),
	window: duration("1s", "7d"),
	"log-level": single(
		z
			.string()
			.toLowerCase()
			.pipe(z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`)),
	),
	"self-telemetry": single(switchable(url)),
});

const LAYER_SCHEMA = COMPLETE_SCHEMA.partial();

export type LayerValues = z.output<typeof LAYER_SCHEMA>;

/** Options without a default. */
type Optional =
	| "ingest-token"
	| "ingest-token-file"
	| "read-token"
	| "read-token-file"
	| "tls-cert"
	| "tls-key"
	| "tls-client-ca"
	| "allow-host"
	| "mesh"
	| "scrape";
type All = z.output<typeof COMPLETE_SCHEMA>;
export type Values = Omit<All, Optional> & Partial<Pick<All, Optional>>;

/** The values of a layer that are sound, and the faults of the others. */
export function parseLayer(layer: Layer): [LayerValues, Fault[]] {
	const faults: Fault[] = [];
	const faulty = new Set<string>();
	const raw = Object.fromEntries([...layer].map(([name, given]) => [name, given.texts]));
	const first = LAYER_SCHEMA.safeParse(raw);
	if (first.success) return [first.data, faults];
	for (const issue of first.error.issues) {
		const name = String(issue.path[0]);
		faulty.add(name);
		faults.push({ at: layer.get(name)?.at ?? name, message: issue.message });
	}
	// zod answers with all values or none; the sound ones are still wanted for the checks across settings.
	const sound = LAYER_SCHEMA.safeParse(Object.fromEntries(Object.entries(raw).filter(([name]) => !faulty.has(name))));
	return [sound.success ? sound.data : {}, faults];
}

function durationOf(text: string): number {
	const parsed = parseDurationMs(text);
	if (!parsed.ok) throw new Error(parsed.problem);
	return parsed.value;
}

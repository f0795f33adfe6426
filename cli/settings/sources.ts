/**
 * Where settings come from: the YAML file, the environment and the flags, each as a layer of texts with the place every one stands
 * at. No value is interpreted here; unknown names are reported with the known name that is nearest.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Document, Node } from "yaml";
import { envName, OPTION_NAMES, OPTIONS } from "./options.ts";
import type { OptionSpec } from "./options.ts";
import { nearestWord } from "./values.ts";

export interface Fault {
	/** `meshscope.yaml:12 retention`, `MESHSCOPE_RETENTION` or `--retention`. */
	readonly at: string;
	readonly message: string;
}

export interface Given {
	/** One text; several for repeatable options. */
	readonly texts: readonly string[];
	/** As in {@link Fault.at}. */
	readonly at: string;
	/** The source without the setting's name, for `--print-settings`. */
	readonly source: string;
}

/** By option name. */
export type Layer = ReadonlyMap<string, Given>;

export interface LayerResult {
	readonly layer: Layer;
	readonly faults: readonly Fault[];
}

/** Variables of this prefix that are not settings: those of the client commands, and the one that tests crash the writer with. */
const OTHER_ENV: readonly string[] = ["MESHSCOPE_CONFIG", "MESHSCOPE_URL", "MESHSCOPE_TOKEN", "MESHSCOPE_FAILPOINT"];
/** Kubernetes sets these in every pod beside a Service called "meshscope"; they are nobody's mistake. */
const SERVICE_LINK_ENV = /^MESHSCOPE_(?:SERVICE_(?:HOST|PORT(?:_.*)?)|PORT(?:_\d+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

export function readYamlLayer(text: string, fileName: string): LayerResult {
	const lines = new LineCounter();
	const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true });
	const layer = new Map<string, Given>();
	const faults: Fault[] = [];
	const lineAt = (offset: number): string => `${fileName}:${lines.linePos(offset).line}`;
	for (const problem of document.errors) faults.push({ at: lineAt(problem.pos[0]), message: problem.message });
	if (faults.length > 0 || document.contents === null) return { layer, faults };
	if (!isMap(document.contents)) {
		faults.push({
			at: lineAt(document.contents.range?.[0] ?? 0),
			message: "the file must be a map of settings, like `retention: 7d`",
		});
		return { layer, faults };
	}
	for (const pair of document.contents.items) {
		const keyNode = pair.key as Node;
		const key = isScalar(keyNode) ? String(keyNode.value) : String(keyNode);
		const source = lineAt(keyNode.range?.[0] ?? 0);
		const at = `${source} ${key}`;
		const spec = OPTIONS.find((one) => one.name === key);
		if (spec === undefined) {
			faults.push({ at, message: unknownMessage("setting", key, OPTION_NAMES, (name) => name) });
			continue;
		}
		const value = pair.value as Node | null;
		const node = isAlias(value) ? value.resolve(document) : value;
		const texts = yamlTexts(node, spec, document);
		if (typeof texts === "string") faults.push({ at, message: texts });
		else layer.set(key, { texts, at, source });
	}
	return { layer, faults };
}

/** The texts of a value, or what is wrong with it. */
function yamlTexts(node: Node | null | undefined, spec: OptionSpec, document: Document): readonly string[] | string {
	const textOf = (item: unknown): string | undefined =>
		spec.structured && isMap(item) ? JSON.stringify(item.toJS(document)) : scalarText(item);
	if (isSeq(node)) {
		if (!spec.repeatable) return "takes one value, not a list";
		const texts = node.items.map(textOf);
		return texts.every((text) => text !== undefined) ? texts : "every entry of the list must be a plain value";
	}
	if (isMap(node) && !spec.structured) return "takes a plain value, not a map";
	const text = textOf(node);
	return text === undefined ? "has no value; remove the line or give one" : [text];
}

/** The text as it stands in the file, so that `0123` or `1e3` means what the person wrote. */
function scalarText(node: unknown): string | undefined {
	if (!isScalar(node) || node.value === null) return undefined;
	return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
}

export function readEnvLayer(env: Readonly<Record<string, string | undefined>>): LayerResult {
	const layer = new Map<string, Given>();
	const faults: Fault[] = [];
	const known = new Set([...OPTION_NAMES.map(envName), ...OTHER_ENV]);
	for (const name of Object.keys(env).toSorted()) {
		if (!name.startsWith("MESHSCOPE_") || known.has(name) || SERVICE_LINK_ENV.test(name)) continue;
		faults.push({ at: name, message: unknownMessage("variable", name, [...known], (one) => one) });
	}
	for (const spec of OPTIONS) {
		for (const name of [envName(spec.name), ...spec.standardEnv]) {
			const text = env[name]?.trim();
			// An empty variable is an unset one (OpenTelemetry specification, environment variables).
			if (text === undefined || text === "") continue;
			const texts = spec.repeatable ? text.split(",").map((part) => part.trim()) : [text];
			layer.set(spec.name, { texts, at: name, source: name });
			break;
		}
	}
	return { layer, faults };
}

/**
 * @param flags values by option name, as the command line gave them
 * @param leftover what the command line held beyond the known flags
 */
export function readFlagLayer(flags: Readonly<Record<string, unknown>>, leftover: readonly string[]): LayerResult {
	const layer = new Map<string, Given>();
	const faults: Fault[] = [];
	for (const spec of OPTIONS) {
		const value = flags[spec.name];
		if (value === undefined) continue;
		const at = `--${spec.name}`;
		layer.set(spec.name, { texts: Array.isArray(value) ? value.map(String) : [String(value)], at, source: at });
	}
	const unknown = leftover.filter((word) => /^--?[a-z]/i.test(word)).map((word) => word.split("=")[0]!);
	for (const flag of unknown) {
		faults.push({ at: flag, message: unknownMessage("flag", flag.replace(/^-+/, ""), OPTION_NAMES, (name) => `--${name}`) });
	}
	// What follows an unknown flag may be its value, so stray words are a fault of their own only without one.
	if (unknown.length === 0)
		for (const word of leftover) faults.push({ at: word, message: "is not a flag; the command takes no arguments" });
	return { layer, faults };
}

function unknownMessage(what: string, word: string, known: readonly string[], show: (name: string) => string): string {
	const near = nearestWord(word.replaceAll("_", what === "variable" ? "_" : "-"), known);
	return near === undefined ? `unknown ${what}` : `unknown ${what}; did you mean ${show(near)}?`;
}

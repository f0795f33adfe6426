/**
 * Reads Prometheus' text form (0.0.4) and OpenMetrics 1.0: families of samples, histograms and summaries put together again.
 *
 * A line that cannot be read costs itself and is counted; one text can be read in steps, so that a large one does not hold up the
 * thread. Exemplars are ignored, and timestamps are checked and ignored: a target does not date its own samples.
 */

export type FamilyType = "counter" | "gauge" | "histogram" | "summary";

export interface TextFamily {
	/** As the samples are called; without suffix for histograms and summaries. */
	readonly name: string;
	readonly type: FamilyType;
	readonly help: string;
	readonly unit: string;
	readonly series: readonly TextSeries[];
}

export interface TextSeries {
	readonly labels: readonly (readonly [name: string, value: string])[];
	/** Counters and gauges; the sum of histograms and summaries, where there is one. */
	readonly value: number | undefined;
	/** Histograms and summaries. */
	readonly count: number | undefined;
	/** Histograms: observations up to and including each bound. Summaries: quantile and value. In rising order. */
	readonly parts: readonly (readonly [bound: number, value: number])[];
	/** Seconds since the epoch, where the text says since when it counts. */
	readonly createdSeconds: number | undefined;
}

export interface ParsedText {
	readonly families: readonly TextFamily[];
	readonly samples: number;
	readonly invalidLines: number;
	/** Of the first few: `line 12: …`. */
	readonly problems: readonly string[];
	/** True when every line was read and the text ended as it should, so that what is not in it is not there. */
	readonly complete: boolean;
}

export interface TextLimits {
	readonly maxLineChars: number;
	readonly maxSamples: number;
	readonly maxLabels: number;
}

export const TEXT_LIMITS: TextLimits = { maxLineChars: 65_536, maxSamples: 250_000, maxLabels: 256 };

const MAX_PROBLEMS = 5;

/** What is wrong with a line. */
class LineError extends Error {}

/** More samples than are read of one target. */
export class TooManySamplesError extends Error {}

type Declared = FamilyType | "unknown";

interface Family {
	readonly name: string;
	type: Declared;
	help: string;
	unit: string;
	readonly series: Map<string, Series>;
}

type Series = { -readonly [K in keyof Omit<TextSeries, "parts">]: TextSeries[K] } & { readonly parts: Map<number, number> };

interface Sample {
	readonly name: string;
	readonly labels: [string, string][];
	readonly value: number;
}

export class TextParser {
	readonly #text: string;
	readonly #isOpenMetrics: boolean;
	readonly #limits: TextLimits;
	readonly #families = new Map<string, Family>();
	#position = 0;
	#line = 0;
	#samples = 0;
	#invalidLines = 0;
	readonly #problems: string[] = [];
	#ended = false;

	constructor(text: string, isOpenMetrics: boolean, limits = TEXT_LIMITS) {
		this.#text = text;
		this.#isOpenMetrics = isOpenMetrics;
		this.#limits = limits;
	}

	/** Reads some `chars` on; true while there is more. @throws TooManySamplesError */
	step(chars: number): boolean {
		const until = this.#position + chars;
		while (this.#position < this.#text.length && this.#position < until && !this.#ended) {
			const newline = this.#text.indexOf("\n", this.#position);
			const end = newline === -1 ? this.#text.length : newline;
			this.#line++;
			try {
				if (end - this.#position > this.#limits.maxLineChars) throw new LineError("the line is too long");
				this.#readLine(this.#text.slice(this.#position, end).replace(/\r$/, ""));
			} catch (error) {
				if (!(error instanceof LineError)) throw error;
				this.#invalidLines++;
				if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(`line ${this.#line}: ${error.message}`);
			}
			this.#position = end + 1;
		}
		return this.#position < this.#text.length && !this.#ended;
	}

	result(): ParsedText {
		const isWhole = this.#isOpenMetrics ? this.#ended : this.#text === "" || this.#text.endsWith("\n");
		return {
			families: [...this.#families.values()].filter(({ series }) => series.size > 0).map(finished),
			samples: this.#samples,
			invalidLines: this.#invalidLines,
			problems: this.#problems,
			complete: isWhole && this.#invalidLines === 0,
		};
	}

	#readLine(line: string): void {
		const trimmed = line.trimStart();
		if (trimmed === "") return;
		if (trimmed.startsWith("#")) this.#readComment(trimmed);
		else this.#addSample(parseSample(trimmed, this.#limits.maxLabels));
	}

	#readComment(line: string): void {
		if (this.#isOpenMetrics && line === "# EOF") {
			this.#ended = true;
			return;
		}
		const match = /^#\s+(HELP|TYPE|UNIT)\s+("(?:[^"\\]|\\.)*"|\S+)(?:\s+(.*))?$/.exec(line);
		if (match === null) return;
		const name = match[2]!.startsWith('"') ? unescaped(match[2]!.slice(1, -1)) : match[2]!;
		const rest = (match[3] ?? "").trim();
		const family = this.#family(name);
		if (match[1] === "HELP") family.help = rest.replace(/\\([\\n"])/g, (_, char: string) => (char === "n" ? "\n" : char));
		else if (match[1] === "UNIT") family.unit = rest;
		else {
			if (family.series.size > 0) throw new LineError(`the type of ${shown(name)} comes after its samples`);
			family.type = rest === "counter" || rest === "gauge" || rest === "histogram" || rest === "summary" ? rest : "unknown";
		}
	}

	#family(name: string): Family {
		let family = this.#families.get(name);
		if (family === undefined) {
			if (this.#families.size >= this.#limits.maxSamples) throw new TooManySamplesError("too many families");
			this.#families.set(name, (family = { name, type: "unknown", help: "", unit: "", series: new Map() }));
		}
		return family;
	}

	#addSample(sample: Sample): void {
		if (this.#samples >= this.#limits.maxSamples)
			throw new TooManySamplesError(`more than ${this.#limits.maxSamples} samples`);
		const [family, role] = this.#ownerOf(sample.name);
		const partLabel = role === "bucket" ? "le" : role === "value" && family.type === "summary" ? "quantile" : undefined;
		const part = partLabel === undefined ? undefined : sample.labels.find(([name]) => name === partLabel);
		if (partLabel !== undefined && part === undefined) throw new LineError(`${shown(sample.name)} has no ${partLabel}`);
		const labels = part === undefined ? sample.labels : sample.labels.filter((label) => label !== part);
		labels.sort(([a], [b]) => (a < b ? -1 : 1));
		const key = JSON.stringify(labels);
		let series = family.series.get(key);
		if (series === undefined) {
			series = { labels, value: undefined, count: undefined, parts: new Map(), createdSeconds: undefined };
			family.series.set(key, series);
		}
		const once = (field: "value" | "count" | "createdSeconds"): void => {
			if (series[field] !== undefined) throw new LineError(`${shown(sample.name)} with these labels is there twice`);
			series[field] = sample.value;
		};
		if (part !== undefined) {
			const bound = parseNumber(part[1]);
			if (series.parts.has(bound)) throw new LineError(`${part[0]}="${bound}" is there twice`);
			series.parts.set(bound, sample.value);
		} else if (role === "created") once("createdSeconds");
		else if (role === "count") once("count");
		else once("value");
		this.#samples++;
	}

	/** The family a sample belongs to, by its own name or without the suffix that the family's type has. */
	#ownerOf(name: string): readonly [Family, "value" | "bucket" | "count" | "sum" | "created"] {
		const suffix = /_(bucket|count|sum|created|total)$/.exec(name);
		const base = suffix === null ? undefined : this.#families.get(name.slice(0, suffix.index));
		if (suffix !== null && base !== undefined) {
			const role = suffix[1]!;
			const { type } = base;
			if (role === "created" && type !== "gauge" && type !== "unknown") return [base, "created"];
			if (role === "bucket" && type === "histogram") return [base, "bucket"];
			if ((role === "count" || role === "sum") && (type === "histogram" || type === "summary")) return [base, role];
			// OpenMetrics declares the name without `_total`; the samples' own name is the one that people know.
			if (role === "total" && type === "counter") {
				const own = this.#family(name);
				if (own.series.size === 0) [own.type, own.help, own.unit] = [base.type, base.help, base.unit];
				return [own, "value"];
			}
		}
		const own = this.#family(name);
		if (own.type === "histogram") throw new LineError(`${shown(name)} is a histogram, and this is no part of one`);
		return [own, "value"];
	}
}

function finished(family: Family): TextFamily {
	const { name, help, unit } = family;
	// A name that ends like a counter's is one, where nobody declares it.
	const type = family.type === "unknown" ? (name.endsWith("_total") ? "counter" : "gauge") : family.type;
	const series = [...family.series.values()].map((one) => ({ ...one, parts: [...one.parts].sort(([a], [b]) => a - b) }));
	return { name, type, help, unit, series };
}

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SPACE = /[ \t]*/y;
/** Value, timestamp, exemplar. */
const TAIL = /^[ \t]*(\S+)(?:[ \t]+([^\s#]\S*))?(?:[ \t]+#[ \t].*)?[ \t]*$/;

function parseSample(line: string, maxLabels: number): Sample {
	let position = 0;
	const take = (pattern: RegExp): RegExpExecArray | null => {
		pattern.lastIndex = position;
		const match = pattern.exec(line);
		if (match !== null) position = pattern.lastIndex;
		return match;
	};
	let name = take(NAME)?.[0];
	const labels: [string, string][] = [];
	take(SPACE);
	if (line[position] === "{") {
		position++;
		const names = new Set<string>();
		for (;;) {
			take(SPACE);
			if (line[position] === "}") break;
			const quoted = take(QUOTED);
			const label = quoted === null ? take(LABEL)?.[0] : unescaped(quoted[1]!);
			if (label === undefined) throw new LineError(`a label is expected at character ${position + 1}`);
			take(SPACE);
			if (line[position] === "=") {
				position++;
				take(SPACE);
				const value = take(QUOTED);
				if (value === null) throw new LineError(`the value of label ${shown(label)} is not quoted, or has no end`);
				if (names.has(label)) throw new LineError(`label ${shown(label)} is there twice`);
				if (labels.length >= maxLabels) throw new LineError(`more than ${maxLabels} labels`);
				names.add(label);
				labels.push([label, unescaped(value[1]!)]);
			} else if (quoted !== null && name === undefined) name = label;
			else throw new LineError(`label ${shown(label)} has no value`);
			take(SPACE);
			if (line[position] === ",") position++;
			else if (line[position] !== "}") throw new LineError(`a comma or } is expected at character ${position + 1}`);
		}
		position++;
	}
	if (name === undefined || name === "") throw new LineError("the line begins with no metric name");
	const tail = TAIL.exec(line.slice(position));
	if (tail === null) throw new LineError(`${shown(name)} has no value, or more than a value and a timestamp`);
	if (tail[2] !== undefined && !Number.isFinite(parseNumber(tail[2]))) throw new LineError(`${shown(tail[2])} is no timestamp`);
	return { name, labels, value: parseNumber(tail[1]!) };
}

function unescaped(text: string): string {
	if (!text.includes("\\")) return text;
	return text.replace(/\\(.)/g, (_, char: string) => {
		if (char === "n") return "\n";
		if (char === "\\" || char === '"') return char;
		throw new LineError(`\\${char} is no escape`);
	});
}

function parseNumber(text: string): number {
	if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return Number(text);
	if (/^\+?inf(?:inity)?$/i.test(text)) return Number.POSITIVE_INFINITY;
	if (/^-inf(?:inity)?$/i.test(text)) return Number.NEGATIVE_INFINITY;
	if (/^nan$/i.test(text)) return Number.NaN;
	throw new LineError(`${shown(text)} is no number`);
}

function shown(text: string): string {
	return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/**
 * Which modules a source file refers to, read without a compiler: comments go, every string becomes a numbered
 * placeholder, and what is left is regular enough for patterns. So a path inside a string or a comment is never taken for an import.
 */

export interface ModuleReference {
	/** The text between the quotes; undefined where the path is computed. */
	readonly specifier: string | undefined;
	readonly kind: "import" | "dynamic-import" | "url" | "require";
	readonly line: number;
}

export interface ScannedSource {
	/** The source without comments, each string literal as `"§n"`, line breaks kept. */
	readonly code: string;
	/** Comment texts, one after the other. */
	readonly comments: string;
	readonly strings: readonly string[];
}

const PATTERNS: readonly (readonly [ModuleReference["kind"], RegExp])[] = [
	// import x from "a" · import type { X } from "a" · export * from "a"
	["import", /\bfrom\s*"§(\d+)"/g],
	// import "a"
	["import", /\bimport\s*"§(\d+)"/g],
	// import("a") · type X = import("a").X · typeof import("a"); without a group when the path is computed
	["dynamic-import", /\bimport\s*\(\s*(?:"§(\d+)"\s*[,)])?/g],
	// new Worker(new URL("a", import.meta.url)) · import.meta.resolve("a")
	["url", /\bnew\s+URL\(\s*"§(\d+)"\s*,\s*import\.meta\.url/g],
	["url", /\bimport\.meta\.resolve\(\s*(?:"§(\d+)"\s*\))?/g],
	["require", /\brequire(?:\.resolve)?\s*\(\s*(?:"§(\d+)"\s*\))?/g],
];

export function moduleReferences(source: string): readonly ModuleReference[] {
	const { code, strings } = scanSource(source);
	const found: ModuleReference[] = [];
	for (const [kind, pattern] of PATTERNS) {
		for (const match of code.matchAll(pattern)) {
			const specifier = match[1] === undefined ? undefined : strings[Number(match[1])];
			found.push({ kind, specifier, line: code.slice(0, match.index).split("\n").length });
		}
	}
	return found.toSorted((a, b) => a.line - b.line);
}

/** Where a `/` that follows one of these starts a regular expression, not a division. */
const BEFORE_REGEX = /(?:[(,=:[!&|?{;+\-*%~^]|\b(?:return|typeof|case|in|of|void|do|else|await|yield))\s*$/;

export function scanSource(source: string): ScannedSource {
	const strings: string[] = [];
	let code = "";
	let comments = "";
	/** Open braces of each template literal's `${…}` we are inside of. */
	const templates: number[] = [];
	let at = 0;

	while (at < source.length) {
		const char = source[at]!;
		const next = source[at + 1];
		if (char === "/" && next === "/") {
			const end = endOf(source, "\n", at);
			comments += source.slice(at, end) + "\n";
			at = end;
		} else if (char === "/" && next === "*") {
			const close = source.indexOf("*/", at + 2);
			const end = close < 0 ? source.length : close + 2;
			const comment = source.slice(at, end);
			comments += comment + "\n";
			code += " " + "\n".repeat(comment.split("\n").length - 1);
			at = end;
		} else if (char === "/" && BEFORE_REGEX.test(code.slice(-12))) {
			at = skipRegex(source, at);
			code += "/§/";
		} else if (char === '"' || char === "'") {
			const end = endOfString(source, at);
			code += placeholder(source.slice(at + 1, end));
			at = end + (source[end] === char ? 1 : 0);
		} else if (char === "`") {
			at = template(at + 1);
		} else if (char === "}" && templates.at(-1) === 0) {
			templates.pop();
			code += ")";
			at = template(at + 1);
		} else {
			if (templates.length > 0 && (char === "{" || char === "}")) templates[templates.length - 1]! += char === "{" ? 1 : -1;
			code += char;
			at++;
		}
	}
	return { code, comments, strings };

	function placeholder(text: string): string {
		strings.push(text);
		return `"§${strings.length - 1}"`;
	}

	/** Reads template text from `start` to its end or to the next `${`, whose code is then scanned like any other. */
	function template(start: number): number {
		let end = start;
		while (end < source.length && source[end] !== "`" && !(source[end] === "$" && source[end + 1] === "{")) {
			end += source[end] === "\\" ? 2 : 1;
		}
		const text = source.slice(start, end);
		const opened = source[start - 1] === "`";
		const substitution = source[end] === "$";
		// A whole template without substitutions is a string like any other; one with them is a computed value.
		if (opened && !substitution) code += placeholder(text);
		else code += (opened ? "§(" : "") + (substitution ? "(" : ")");
		code += "\n".repeat(text.split("\n").length - 1);
		if (!substitution) return end + 1;
		templates.push(0);
		return end + 2;
	}
}

function endOf(source: string, what: string, from: number): number {
	const end = source.indexOf(what, from);
	return end < 0 ? source.length : end;
}

/** A quote that is never closed (an apostrophe in JSX text) ends with its line. */
function endOfString(source: string, start: number): number {
	const quote = source[start];
	let at = start + 1;
	while (at < source.length && source[at] !== quote && source[at] !== "\n") at += source[at] === "\\" ? 2 : 1;
	return Math.min(at, source.length);
}

function skipRegex(source: string, start: number): number {
	let inClass = false;
	for (let at = start + 1; at < source.length && source[at] !== "\n"; at++) {
		const char = source[at];
		if (char === "\\") at++;
		else if (char === "[") inClass = true;
		else if (char === "]") inClass = false;
		else if (char === "/" && !inClass) return at + 1;
	}
	return start + 1;
}

/** Regular expressions of a policy, which Envoy gives to RE2, as patterns that JavaScript runs: the same meaning, and bounded time. */
import { checkCost } from "./regex-cost.ts";
import { parseRegex, RegexRefusal, toJavaScript } from "./regex-syntax.ts";

export type CompiledPattern =
	| { readonly ok: true; readonly pattern: RegExp; readonly groups: number }
	/** Completes "the pattern ". */
	| { readonly ok: false; readonly reason: string };

const MAX_PATTERN_CHARS = 1024;

/** `whole` matches a value from end to end; `part` is global and finds each place in it. Never throws. */
export function compilePattern(source: string, extent: "whole" | "part"): CompiledPattern {
	if (source.length > MAX_PATTERN_CHARS) return { ok: false, reason: `is longer than ${MAX_PATTERN_CHARS} characters` };
	try {
		const tree = parseRegex(source);
		checkCost(tree, extent);
		const body = toJavaScript(tree.root);
		return {
			ok: true,
			pattern: extent === "whole" ? new RegExp(`^(?:${body})$`) : new RegExp(body, "g"),
			groups: tree.groups,
		};
	} catch (error) {
		if (error instanceof RegexRefusal) return { ok: false, reason: error.message };
		return { ok: false, reason: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
	}
}

/** Regular expressions of a policy, which Envoy gives to RE2, as patterns that JavaScript runs. */

export type CompiledPattern = { readonly ok: true; readonly pattern: RegExp } | { readonly ok: false; readonly reason: string };

const MAX_PATTERN_CHARS = 1024;

/** `whole` matches a value from end to end, `part` each place in it. Never throws. */
export function compilePattern(source: string, extent: "whole" | "part"): CompiledPattern {
	if (source.length > MAX_PATTERN_CHARS)
		return { ok: false, reason: `is a pattern longer than ${MAX_PATTERN_CHARS} characters` };
	try {
		return { ok: true, pattern: extent === "whole" ? new RegExp(`^(?:${source})$`, "s") : new RegExp(source, "gs") };
	} catch {
		return { ok: false, reason: "is no regular expression" };
	}
}

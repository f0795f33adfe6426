/** Lists of values as Istio writes them (exact, `prefix*`, `*suffix`, `*` for present), compiled to one test. */

/** An empty text is what is not there: nothing matches it, `*` neither. */
export type ValueTest = (value: string) => boolean;

/** Matches where any of the values does; never for an empty list. */
export function compileValues(values: readonly string[]): ValueTest {
	const exact = new Set<string>();
	const prefixes: string[] = [];
	const suffixes: string[] = [];
	let isAny = false;
	for (const value of values) {
		if (value === "*") isAny = true;
		else if (value.startsWith("*")) suffixes.push(value.slice(1));
		else if (value.endsWith("*")) prefixes.push(value.slice(0, -1));
		else exact.add(value);
	}
	if (isAny) return (value) => value !== "";
	const [only] = exact;
	if (only !== undefined && exact.size === 1 && prefixes.length === 0 && suffixes.length === 0) {
		return (value) => value !== "" && value === only;
	}
	return (value) => {
		if (value === "") return false;
		if (exact.has(value)) return true;
		for (const prefix of prefixes) if (value.startsWith(prefix)) return true;
		for (const suffix of suffixes) if (value.endsWith(suffix)) return true;
		return false;
	};
}

/** Paths, which may also be templates: `{*}` stands for one segment, `{**}` for any number. */
export function compilePaths(values: readonly string[]): ValueTest {
	const templates = values.filter((value) => value.includes("{*}") || value.includes("{**}")).map(compileTemplate);
	const others = compileValues(values.filter((value) => !value.includes("{*}") && !value.includes("{**}")));
	if (templates.length === 0) return others;
	return (value) => others(value) || templates.some((template) => template.test(value));
}

function compileTemplate(template: string): RegExp {
	const parts = template.split(/(\{\*{1,2}\})/);
	const source = parts.map((part) => (part === "{*}" ? "[^/]+" : part === "{**}" ? ".*" : escapeForRegExp(part)));
	return new RegExp(`^${source.join("")}$`);
}

/** RegExp.escape came with Node 24 only. */
function escapeForRegExp(text: string): string {
	return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

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
	if (prefixes.length === 0 && suffixes.length === 0) return (value) => value !== "" && exact.has(value);
	return (value) => {
		if (value === "") return false;
		if (exact.has(value)) return true;
		for (const prefix of prefixes) if (value.startsWith(prefix)) return true;
		for (const suffix of suffixes) if (value.endsWith(suffix)) return true;
		return false;
	};
}

/** In a namespace a star may stand anywhere and more than once: Istio makes it a regular expression. */
export function compileNamespaces(values: readonly string[]): ValueTest {
	return withPatterns(values, (value) => value.slice(1, -1).includes("*"), [[/(\*)/, ".*"]]);
}

/**
 * Paths, which may also be templates: `{*}` stands for one segment, `{**}` for any number. In a template a bare `*` means the same, as
 * in Envoy's URI templates, to which Istio turns it.
 */
export function compilePaths(values: readonly string[]): ValueTest {
	return withPatterns(values, (value) => value.includes("{*}") || value.includes("{**}"), [
		[/(\{\*\*\}|\*\*)/, ".*"],
		[/(\{\*\}|\*)/, "[^/]+"],
	]);
}

/** Those that are patterns become regular expressions, by what stands for each of their operators; the others stay values. */
function withPatterns(
	values: readonly string[],
	isPattern: (value: string) => boolean,
	operators: readonly (readonly [operator: RegExp, source: string])[],
): ValueTest {
	const patterns = values.filter(isPattern).map((value) => new RegExp(`^${sourceOf(value, operators)}$`));
	const others = compileValues(values.filter((value) => !isPattern(value)));
	if (patterns.length === 0) return others;
	return (value) => {
		if (value === "") return false;
		if (others(value)) return true;
		for (const pattern of patterns) if (pattern.test(value)) return true;
		return false;
	};
}

function sourceOf(text: string, operators: readonly (readonly [operator: RegExp, source: string])[]): string {
	const [first, ...rest] = operators;
	if (first === undefined) return escapeForRegExp(text);
	const [operator, source] = first;
	return text
		.split(operator)
		.map((part, index) => (index % 2 === 1 ? source : sourceOf(part, rest)))
		.join("");
}

/** RegExp.escape came with Node 24 only. */
function escapeForRegExp(text: string): string {
	return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

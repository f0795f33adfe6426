/** One match of a route, compiled to the tests that it really has, cheapest first. */
import type { RouteMatch, StringMatch } from "../../model/mesh/proxy-config.ts";
import type { RouteRequest } from "./request.ts";

export interface CompiledMatch {
	readonly source: RouteMatch;
	matches(request: RouteRequest): boolean;
}

type Test = (request: RouteRequest) => boolean;

export function compileMatch(match: RouteMatch): CompiledMatch {
	const tests: Test[] = [];
	const { port } = match;
	if (port !== undefined) tests.push((request) => request.port === port);
	if (match.path !== undefined) tests.push(pathTest(match.path, match.ignorePathCase));
	if (match.method !== undefined) {
		const isMethod = stringTest(match.method);
		tests.push((request) => isMethod(request.method));
	}
	if (match.authority !== undefined) {
		const isAuthority = stringTest(match.authority);
		tests.push((request) => isAuthority(request.header("host") ?? request.host));
	}
	for (const { name, match: value } of match.headers) tests.push(headerTest(name, value));
	for (const { name, match: value } of match.withoutHeaders) {
		const isThere = headerTest(name, value);
		tests.push((request) => !isThere(request));
	}
	for (const { name, match: value } of match.query) tests.push(queryTest(name, value));
	return { source: match, matches: allOf(tests) };
}

/** Nearly all matches have one or two tests, and those need no loop. */
function allOf(tests: readonly Test[]): Test {
	const [a, b] = tests;
	if (a === undefined) return () => true;
	if (b === undefined) return a;
	if (tests.length === 2) return (request) => a(request) && b(request);
	return (request) => {
		for (const test of tests) if (!test(request)) return false;
		return true;
	};
}

function stringTest(match: StringMatch): (value: string) => boolean {
	const { value } = match;
	switch (match.kind) {
		case "exact":
			return (text) => text === value;
		case "prefix":
			return (text) => text.startsWith(value);
		case "regex": {
			const pattern = wholeMatch(match.pattern);
			return (text) => pattern.test(text);
		}
	}
}

/** Whole values only, as RE2 in Envoy, whether or not the pattern is anchored. Without `g` and `y`, which would remember a place. */
function wholeMatch(pattern: RegExp): RegExp {
	return new RegExp(`^(?:${pattern.source})$`, pattern.flags.replaceAll(/[gy]/g, ""));
}

/** Istio's ignoreUriCase is for exact paths and prefixes. */
function pathTest(match: StringMatch, ignoreCase: boolean): Test {
	if (!ignoreCase || match.kind === "regex") {
		const isPath = stringTest(match);
		return (request) => isPath(request.path);
	}
	const isPath = stringTest({ kind: match.kind, value: match.value.toLowerCase() });
	return (request) => isPath(request.path.toLowerCase());
}

function headerTest(name: string, match: StringMatch | undefined): Test {
	if (match === undefined) return (request) => request.header(name) !== undefined;
	const isValue = stringTest(match);
	return (request) => {
		const value = request.header(name);
		return value !== undefined && isValue(value);
	};
}

function queryTest(name: string, match: StringMatch | undefined): Test {
	if (match === undefined) return (request) => queryParameter(request.query, name) !== undefined;
	const isValue = stringTest(match);
	return (request) => {
		const value = queryParameter(request.query, name);
		return value !== undefined && isValue(value);
	};
}

/** The first parameter of that name, not decoded, as Envoy matches it; empty where it has no `=`. */
export function queryParameter(query: string, name: string): string | undefined {
	for (let start = 0; start < query.length;) {
		let end = query.indexOf("&", start);
		if (end < 0) end = query.length;
		if (query.startsWith(name, start)) {
			const after = start + name.length;
			if (after === end) return "";
			if (query[after] === "=") return query.slice(after + 1, end);
		}
		start = end + 1;
	}
	return undefined;
}

/**
 * One authorisation rule, compiled. Its source, its operation and its conditions are ANDed; an absent list asks nothing.
 *
 * Attributes that only HTTP has (hosts, methods, paths, headers, JWTs) are not there for TCP. As in Istio an ALLOW rule with one of
 * them then never matches, and DENY and AUDIT rules leave them out: less is allowed, more is denied.
 */
import type { AuthorizationOperation, AuthorizationRule, AuthorizationSource } from "../../model/mesh/proxy-config.ts";
import { type IpBlock, isInBlock, parseIp, parseIpBlock } from "./addresses.ts";
import { normalizePath } from "./normalize-path.ts";
import type { AuthorizationRequest, AuthorizationResult } from "./request.ts";
import { compileNamespaces, compilePaths, compileValues } from "./values.ts";

export interface CompiledRule {
	/** What the rule decides: one object for all requests. */
	readonly result: AuthorizationResult;
	matches(request: AuthorizationRequest): boolean;
}

type Test = (request: AuthorizationRequest) => boolean;

/** What one attribute asks. */
interface Clause {
	readonly httpOnly: boolean;
	readonly test: Test;
}

export function compileRule(rule: AuthorizationRule, action: "deny" | "allow" | "audit"): CompiledRule {
	const result: AuthorizationResult = { decision: action, policy: rule.policy, audited: [] };
	const from = rule.from.map(sourceClauses);
	const to = rule.to.map(operationClauses);
	const when = rule.when.map(conditionClause);
	const everything = [...from, ...to, when].flat();
	const asHttp = compileParts(from, to, when);
	let asTcp: Test;
	if (!everything.some((clause) => clause.httpOnly)) asTcp = asHttp;
	else if (action === "allow") asTcp = () => false;
	else asTcp = compileParts(from.map(withoutHttp), to.map(withoutHttp), withoutHttp(when));
	return { result, matches: (request) => (request.method === "" ? asTcp(request) : asHttp(request)) };
}

function withoutHttp(clauses: readonly Clause[]): readonly Clause[] {
	return clauses.filter((clause) => !clause.httpOnly);
}

function compileParts(from: readonly (readonly Clause[])[], to: readonly (readonly Clause[])[], when: readonly Clause[]): Test {
	const tests: Test[] = [];
	if (to.length > 0) tests.push(anyOf(to.map(allOf)));
	if (from.length > 0) tests.push(anyOf(from.map(allOf)));
	for (const { test } of when) tests.push(test);
	return every(tests);
}

function allOf(clauses: readonly Clause[]): Test {
	return every(clauses.map((clause) => clause.test));
}

function every(tests: readonly Test[]): Test {
	const [a, b] = tests;
	if (a === undefined) return () => true;
	if (b === undefined) return a;
	if (tests.length === 2) return (request) => a(request) && b(request);
	return (request) => {
		for (const test of tests) if (!test(request)) return false;
		return true;
	};
}

function anyOf(tests: readonly Test[]): Test {
	const [a] = tests;
	if (a !== undefined && tests.length === 1) return a;
	return (request) => {
		for (const test of tests) if (test(request)) return true;
		return false;
	};
}

function sourceClauses(source: AuthorizationSource): readonly Clause[] {
	return [
		...clause(source.principals, source.notPrincipals, false, principalTest),
		...clause(source.namespaces, source.notNamespaces, false, namespaceTest),
		...clause(source.ipBlocks, source.notIpBlocks, false, (blocks) => blockTest(blocks, sourceIpOf)),
	];
}

function operationClauses(operation: AuthorizationOperation): readonly Clause[] {
	return [
		...clause(operation.ports, operation.notPorts, false, portTest),
		...clause(operation.methods, operation.notMethods, true, methodTest),
		...clause(operation.paths, operation.notPaths, true, pathTest),
		...clause(operation.hosts, operation.notHosts, true, hostTest),
	];
}

function clause(
	values: readonly string[],
	notValues: readonly string[],
	httpOnly: boolean,
	compile: (values: readonly string[]) => Test,
): readonly Clause[] {
	const clauses: Clause[] = [];
	if (values.length > 0) clauses.push({ httpOnly, test: compile(values) });
	if (notValues.length > 0) {
		const test = compile(notValues);
		clauses.push({ httpOnly, test: (request) => !test(request) });
	}
	return clauses;
}

const SPIFFE = "spiffe://";

function principalTest(values: readonly string[]): Test {
	const bare = compileValues(values.map((value) => (value.startsWith(SPIFFE) ? value.slice(SPIFFE.length) : value)));
	return ({ principal }) => bare(principal.startsWith(SPIFFE) ? principal.slice(SPIFFE.length) : principal);
}

function namespaceTest(values: readonly string[]): Test {
	const isOne = compileNamespaces(values);
	return ({ principal, namespace }) => principal !== "" && isOne(namespace);
}

function portTest(values: readonly string[]): Test {
	const ports = new Set(values.map(Number));
	return ({ port }) => ports.has(port);
}

function methodTest(values: readonly string[]): Test {
	const isOne = compileValues(values);
	return ({ method }) => isOne(method);
}

function pathTest(values: readonly string[]): Test {
	const isOne = compilePaths(values);
	return ({ path }) => isOne(normalizePath(path) ?? "");
}

/** Without regard to case. A value with a port (`shop.example:8443`, `shop.example:*`) asks for the port too. */
function hostTest(values: readonly string[]): Test {
	const lower = values.map((value) => value.toLowerCase());
	const isHost = compileValues(lower);
	const withPort = lower.filter((value) => value.includes(":"));
	if (withPort.length === 0) return ({ host }) => isHost(host.toLowerCase());
	const isHostAndPort = compileValues(withPort);
	return ({ host, port }) => {
		const name = host.toLowerCase();
		return isHost(name) || isHostAndPort(`${name}:${port}`);
	};
}

function sourceIpOf(request: AuthorizationRequest): string {
	return request.sourceIp;
}

function destinationIpOf(request: AuthorizationRequest): string {
	return request.destinationIp;
}

/** Requests are decided one after another, so all tests may share it. */
const scratch = new Uint32Array(4);

/** A block that is none never matches; policies with one are refused before they get here. */
function blockTest(values: readonly string[], addressOf: (request: AuthorizationRequest) => string): Test {
	const blocks = values.map(parseIpBlock).filter((block): block is IpBlock => block !== undefined);
	return (request) => {
		if (!parseIp(addressOf(request), scratch)) return false;
		for (const block of blocks) if (isInBlock(block, scratch)) return true;
		return false;
	};
}

/** Conditions by key (Istio: Authorization Policy Conditions). */
function conditionClause(condition: AuthorizationRule["when"][number]): Clause {
	const { key, values, notValues } = condition;
	const [isHttpOnly, compile] = conditionTest(key);
	const clauses = clause(values, notValues, isHttpOnly, compile);
	return { httpOnly: isHttpOnly, test: allOf(clauses) };
}

function conditionTest(key: string): readonly [httpOnly: boolean, compile: (values: readonly string[]) => Test] {
	switch (key) {
		case "source.ip":
		// Without trusted proxies in front the connection's peer is the client.
		case "remote.ip":
			return [false, (values) => blockTest(values, sourceIpOf)];
		case "source.namespace":
			return [false, namespaceTest];
		case "source.principal":
			return [false, principalTest];
		case "destination.ip":
			return [false, (values) => blockTest(values, destinationIpOf)];
		case "destination.port":
			return [false, portTest];
		case "connection.sni":
			return [false, (values) => textTest(values, (request) => request.sni)];
	}
	const header = /^request\.headers\[([^\]]+)\]$/.exec(key)?.[1]?.toLowerCase();
	if (header !== undefined) return [true, (values) => textTest(values, (request) => request.header(header) ?? "")];
	// JWTs are not verified here, so what they would say (`request.auth.*`) is not there.
	return [key.startsWith("request.auth."), () => () => false];
}

function textTest(values: readonly string[], textOf: (request: AuthorizationRequest) => string): Test {
	const isOne = compileValues(values);
	return (request) => isOne(textOf(request));
}

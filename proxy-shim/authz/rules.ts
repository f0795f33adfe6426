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

type Action = "deny" | "allow" | "audit";

/** One kind of attribute: which values it understands, and the test they make. */
interface Attribute {
	readonly httpOnly: boolean;
	readonly understands?: (value: string) => boolean;
	readonly compile: (values: readonly string[]) => Test;
}

export function compileRule(rule: AuthorizationRule, action: Action): CompiledRule {
	const result: AuthorizationResult = { decision: action, policy: rule.policy, audited: [] };
	const from = rule.from.map((source) => sourceClauses(source, action));
	const to = rule.to.map((operation) => operationClauses(operation, action));
	const when = rule.when.flatMap((condition) => conditionClauses(condition, action));
	const asHttp = compileParts(from, to, when);
	let asTcp: Test;
	if (![...from, ...to, when].flat().some((clause) => clause.httpOnly)) asTcp = asHttp;
	else if (action === "allow") asTcp = never;
	else asTcp = compileParts(from.map(withoutHttp), to.map(withoutHttp), withoutHttp(when));
	return { result, matches: (request) => (request.method === "" ? asTcp(request) : asHttp(request)) };
}

function never(): boolean {
	return false;
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

function sourceClauses(source: AuthorizationSource, action: Action): readonly Clause[] {
	return [
		...clausesOf(PRINCIPAL, source.principals, source.notPrincipals, action),
		...clausesOf(NAMESPACE, source.namespaces, source.notNamespaces, action),
		...clausesOf(SOURCE_IP, source.ipBlocks, source.notIpBlocks, action),
	];
}

function operationClauses(operation: AuthorizationOperation, action: Action): readonly Clause[] {
	return [
		...clausesOf(PORT, operation.ports, operation.notPorts, action),
		...clausesOf(METHOD, operation.methods, operation.notMethods, action),
		...clausesOf(PATH, operation.paths, operation.notPaths, action),
		...clausesOf(HOST, operation.hosts, operation.notHosts, action),
	];
}

/**
 * Values that are not understood are refused before a policy gets here. Should one come all the same, an ALLOW rule with it matches
 * nothing, and a DENY or AUDIT rule leaves it out, as Istio does.
 */
function clausesOf(
	{ httpOnly, understands = () => true, compile }: Attribute,
	values: readonly string[],
	notValues: readonly string[],
	action: Action,
): readonly Clause[] {
	const positive = values.filter(understands);
	const negative = notValues.filter(understands);
	if (action === "allow" && positive.length + negative.length < values.length + notValues.length) {
		return [{ httpOnly, test: never }];
	}
	const clauses: Clause[] = [];
	if (positive.length > 0) clauses.push({ httpOnly, test: compile(positive) });
	if (negative.length > 0) {
		const test = compile(negative);
		clauses.push({ httpOnly, test: (request) => !test(request) });
	}
	return clauses;
}

const SPIFFE = "spiffe://";

/** Both forms are compared, so that nothing is cut off for each rule. A suffix is the same in both. */
function principalTest(values: readonly string[]): Test {
	const bare = values.map((value) => (value.startsWith(SPIFFE) ? value.slice(SPIFFE.length) : value));
	const withScheme = bare.filter((value) => !value.startsWith("*")).map((value) => SPIFFE + value);
	const isOne = compileValues([...bare, ...withScheme]);
	return ({ principal }) => isOne(principal);
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

/** Requests are decided one after another, so all tests may share it. */
const scratch = new Uint32Array(4);

function blockTest(values: readonly string[], addressOf: (request: AuthorizationRequest) => string): Test {
	const blocks = values.map(parseIpBlock).filter((block): block is IpBlock => block !== undefined);
	return (request) => {
		if (!parseIp(addressOf(request), scratch)) return false;
		for (const block of blocks) if (isInBlock(block, scratch)) return true;
		return false;
	};
}

function isBlock(value: string): boolean {
	return parseIpBlock(value) !== undefined;
}

function textTest(values: readonly string[], textOf: (request: AuthorizationRequest) => string): Test {
	const isOne = compileValues(values);
	return (request) => isOne(textOf(request));
}

const PRINCIPAL: Attribute = { httpOnly: false, compile: principalTest };
const NAMESPACE: Attribute = { httpOnly: false, compile: namespaceTest };
const SOURCE_IP: Attribute = {
	httpOnly: false,
	understands: isBlock,
	compile: (values) => blockTest(values, (request) => request.sourceIp),
};
const DESTINATION_IP: Attribute = {
	httpOnly: false,
	understands: isBlock,
	compile: (values) => blockTest(values, (request) => request.destinationIp),
};
const PORT: Attribute = { httpOnly: false, understands: (value) => /^\d{1,5}$/.test(value), compile: portTest };
const METHOD: Attribute = { httpOnly: true, compile: methodTest };
const PATH: Attribute = { httpOnly: true, compile: pathTest };
const HOST: Attribute = { httpOnly: true, compile: hostTest };
const SNI: Attribute = { httpOnly: false, compile: (values) => textTest(values, (request) => request.sni) };
/** JWTs are not verified here, so what they would say is not there. */
const JWT: Attribute = { httpOnly: true, compile: () => never };
const UNKNOWN: Attribute = { httpOnly: false, understands: () => false, compile: () => never };

/** Istio: Authorization Policy Conditions. Without trusted proxies in front, `remote.ip` is the connection's peer. */
const CONDITIONS: ReadonlyMap<string, Attribute> = new Map([
	["source.ip", SOURCE_IP],
	["remote.ip", SOURCE_IP],
	["source.namespace", NAMESPACE],
	["source.principal", PRINCIPAL],
	["destination.ip", DESTINATION_IP],
	["destination.port", PORT],
	["connection.sni", SNI],
]);

function conditionClauses({ key, values, notValues }: AuthorizationRule["when"][number], action: Action): readonly Clause[] {
	return clausesOf(CONDITIONS.get(key) ?? headerCondition(key), values, notValues, action);
}

function headerCondition(key: string): Attribute {
	const name = /^request\.headers\[([^\]]+)\]$/.exec(key)?.[1]?.toLowerCase();
	if (name !== undefined)
		return { httpOnly: true, compile: (values) => textTest(values, (request) => request.header(name) ?? "") };
	return key.startsWith("request.auth.") ? JWT : UNKNOWN;
}

/** Istio's AuthorizationPolicy: who may ask a workload for what. */
import type { AuthorizationOperation, AuthorizationRule, AuthorizationSource } from "../proxy-config.ts";
import { list, mapped, object, oneOf, quoted, type Read, required, text, textThat, unsupported, type ValueOf } from "./fields.ts";
import { isIpBlock } from "./ip-address.ts";
import { fault, type Place, warn, within } from "./place.ts";
import { parseSpiffeId } from "./spiffe.ts";
import { selector } from "./values.ts";

/** `*`, `prefix*`, `*suffix` or the value itself. */
const pattern: Read<string> = mapped(text(), starred);
const headerValue: Read<string> = mapped(text({ empty: "allowed" }), starred);

function starred(value: string, at: Place): string {
	if (/^.+\*.+$/s.test(value)) {
		warn(at, `${quoted(value)} matches a star literally: * stands for anything only at the beginning or the end`);
	}
	return value;
}

const principal: Read<string> = mapped(pattern, (value, at) => {
	if (value.startsWith("spiffe://")) return fault(at, "must be written without spiffe://");
	if (value.includes("*")) return value;
	const parsed = parseSpiffeId(`spiffe://${value}`);
	return parsed.ok
		? value
		: fault(at, `must be <trust domain>/ns/<namespace>/sa/<service account>: ${quoted(value)} ${parsed.reason}`);
});

const ipBlock = textThat((value) => (isIpBlock(value) ? undefined : "must be an IP address or a block such as 10.0.0.0/8"));
const port = textThat((value) =>
	/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535 ? undefined : "must be a port from 1 to 65535",
);

const method: Read<string> = mapped(pattern, (value, at) => {
	if (value !== value.toUpperCase()) warn(at, `${quoted(value)} is compared as it is written, and methods are upper case`);
	return value;
});

const path: Read<string> = mapped(text(), (value, at) => {
	if (!/[{}]/.test(value)) return pattern(value, at);
	const template = value.replaceAll(/\{\*{1,2}\}/g, "");
	if (/[{}*]/.test(template)) return fault(at, "with {*} or {**} no other braces and no other * are allowed");
	if (!value.startsWith("/")) return fault(at, "with {*} or {**} must begin with a slash");
	if (value.split("/").some((segment) => segment.includes("{") && !/^\{\*{1,2}\}$/.test(segment)))
		return fault(at, "{*} and {**} must each be a whole segment");
	const rest = value.split("{**}");
	if (rest.length > 2 || (rest[1] ?? "").includes("{*}")) return fault(at, "nothing variable may follow {**}");
	return value;
});

const some = <T>(read: Read<T>): Read<readonly T[]> => list(read, { nonEmpty: true });

const source = object(
	{
		principals: some(principal),
		notPrincipals: some(principal),
		namespaces: some(pattern),
		notNamespaces: some(pattern),
		ipBlocks: some(ipBlock),
		notIpBlocks: some(ipBlock),
		remoteIpBlocks: some(ipBlock),
		notRemoteIpBlocks: some(ipBlock),
		requestPrincipals: unsupported("JSON Web Tokens are not verified"),
		notRequestPrincipals: unsupported("JSON Web Tokens are not verified"),
		serviceAccounts: unsupported("use principals"),
		notServiceAccounts: unsupported("use notPrincipals"),
	},
	(_fields, at, present) => {
		if (present.size === 0) fault(at, "must have at least one field");
	},
);

const operation = object(
	{
		hosts: some(pattern),
		notHosts: some(pattern),
		ports: some(port),
		notPorts: some(port),
		methods: some(method),
		notMethods: some(method),
		paths: some(path),
		notPaths: some(path),
	},
	(_fields, at, present) => {
		if (present.size === 0) fault(at, "must have at least one field");
	},
);

const PLAIN_KEYS: Readonly<Record<string, Read<string>>> = {
	"source.ip": ipBlock,
	"remote.ip": ipBlock,
	"source.namespace": pattern,
	"source.principal": principal,
	"destination.ip": ipBlock,
	"destination.port": port,
	"connection.sni": pattern,
};
const HEADER_KEY = /^request\.headers\[([!#$%&'*+.^_`|~0-9A-Za-z-]+)\]$/;
const KEYS = ["request.headers[name]", ...Object.keys(PLAIN_KEYS)];

const conditionShape = {
	key: required(text()),
	values: some(text({ empty: "allowed" })),
	notValues: some(text({ empty: "allowed" })),
};

/** Which form values have depends on the key. */
const condition = (value: unknown, at: Place): AuthorizationRule["when"][number] | undefined => {
	const fields = readCondition(value, at);
	if (fields === undefined) return undefined;
	const header = HEADER_KEY.exec(fields.key)?.[1];
	const form = header !== undefined ? headerValue : Object.hasOwn(PLAIN_KEYS, fields.key) ? PLAIN_KEYS[fields.key] : undefined;
	if (form === undefined) {
		const isIstios = /^(?:request\.auth\.|experimental\.)/.test(fields.key);
		return fault(
			within(at, "key"),
			`${isIstios ? "is Istio's, but is not supported here: use" : "must be"} one of ${KEYS.join(", ")}, not ${quoted(fields.key)}`,
		);
	}
	const take = (name: "values" | "notValues"): readonly string[] => {
		for (const [index, one] of (fields[name] ?? []).entries()) form(one, within(within(at, name), index));
		return fields[name] ?? [];
	};
	return {
		key: header === undefined ? fields.key : `request.headers[${header.toLowerCase()}]`,
		values: take("values"),
		notValues: take("notValues"),
	};
};

const readCondition = object(conditionShape, (_fields, at, present) => {
	if (!present.has("values") && !present.has("notValues")) fault(at, "needs values or notValues");
});

const rule = object({
	from: some(object({ source: required(source) })),
	to: some(object({ operation: required(operation) })),
	when: some(condition),
});

export const readAuthorizationPolicy = object(
	{
		selector,
		action: oneOf(["ALLOW", "DENY", "AUDIT"], { CUSTOM: "use ALLOW, DENY or AUDIT" }),
		rules: list(rule),
		targetRef: unsupported("use selector"),
		targetRefs: unsupported("use selector"),
		provider: unsupported("it belongs to the action CUSTOM"),
	},
	(fields, at) => {
		if (fields.action !== undefined && fields.action !== "ALLOW" && (fields.rules ?? []).length === 0) {
			warn(at, `has the action ${fields.action} and no rules: it matches nothing`);
		}
	},
);

export type AuthorizationPolicy = ValueOf<typeof readAuthorizationPolicy>;

/**
 * The rules as a proxy asks them. Istio's remoteIpBlocks stand in a source; here they are a condition, so a rule with one gives a rule
 * a source: rules are ORed as sources are.
 */
export function rulesOf(policy: AuthorizationPolicy, name: string): readonly AuthorizationRule[] {
	return (policy.rules ?? []).flatMap((one): readonly AuthorizationRule[] => {
		const to = (one.to ?? []).map((item) => operationOf(item.operation));
		const when = one.when ?? [];
		const sources = (one.from ?? []).map((item) => item.source);
		if (!sources.some((item) => item.remoteIpBlocks !== undefined || item.notRemoteIpBlocks !== undefined)) {
			return [{ policy: name, from: sources.map(sourceOf), to, when }];
		}
		return sources.map((item) => {
			const remote = { key: "remote.ip", values: item.remoteIpBlocks ?? [], notValues: item.notRemoteIpBlocks ?? [] };
			const isRemote = remote.values.length > 0 || remote.notValues.length > 0;
			return { policy: name, from: [sourceOf(item)], to, when: isRemote ? [...when, remote] : when };
		});
	});
}

function sourceOf(item: ValueOf<typeof source>): AuthorizationSource {
	return {
		principals: item.principals ?? [],
		notPrincipals: item.notPrincipals ?? [],
		namespaces: item.namespaces ?? [],
		notNamespaces: item.notNamespaces ?? [],
		ipBlocks: item.ipBlocks ?? [],
		notIpBlocks: item.notIpBlocks ?? [],
	};
}

function operationOf(item: ValueOf<typeof operation>): AuthorizationOperation {
	const lower = (hosts: readonly string[] | undefined): readonly string[] => (hosts ?? []).map((host) => host.toLowerCase());
	return {
		hosts: lower(item.hosts),
		notHosts: lower(item.notHosts),
		ports: item.ports ?? [],
		notPorts: item.notPorts ?? [],
		methods: item.methods ?? [],
		notMethods: item.notMethods ?? [],
		paths: item.paths ?? [],
		notPaths: item.notPaths ?? [],
	};
}

/**
 * Whether a request or connection may go on, by Istio's AuthorizationPolicy: DENY is asked first, then ALLOW; without any ALLOW policy
 * everything else is allowed; AUDIT marks and never decides. Rules are compiled once for each configuration.
 */
import type { AuthorizationConfig } from "../../model/mesh/proxy-config.ts";
import { normalizePath } from "./normalize-path.ts";
import { type CompiledRule, compileRule } from "./rules.ts";
import type { AuthorizationRequest, AuthorizationResult } from "./request.ts";

export type Authorizer = (request: AuthorizationRequest) => AuthorizationResult;

const authorizers = new WeakMap<AuthorizationConfig, Authorizer>();

/** Compiled at the first call with this configuration. */
export function authorize(config: AuthorizationConfig, request: AuthorizationRequest): AuthorizationResult {
	let authorizer = authorizers.get(config);
	if (authorizer === undefined) {
		authorizer = createAuthorizer(config);
		authorizers.set(config, authorizer);
	}
	return authorizer(request);
}

const NONE: readonly string[] = [];
const NOT_ASKED: AuthorizationResult = { decision: "", policy: "", audited: NONE };
const ALLOWED: AuthorizationResult = { decision: "allow", policy: "", audited: NONE };
const DENIED: AuthorizationResult = { decision: "deny", policy: "", audited: NONE };

export function createAuthorizer(config: AuthorizationConfig): Authorizer {
	const deny = config.deny.map((rule) => compileRule(rule, "deny"));
	const allow = config.allow.map((rule) => compileRule(rule, "allow"));
	const audit = config.audit.map((rule) => compileRule(rule, "audit"));
	const hasAllowPolicy = config.hasAllowPolicy || allow.length > 0;
	const isAsked = hasAllowPolicy || deny.length > 0;

	function decide(request: AuthorizationRequest): AuthorizationResult {
		// Istio refuses such a path whatever the policies say.
		if (isAsked && normalizePath(request.path) === undefined) return DENIED;
		const denied = firstMatch(deny, request);
		if (denied !== undefined) return denied.result;
		if (!hasAllowPolicy) return isAsked ? ALLOWED : NOT_ASKED;
		return firstMatch(allow, request)?.result ?? DENIED;
	}

	if (audit.length === 0) return decide;
	return (request) => {
		const result = decide(request);
		const audited = audit.filter((rule) => rule.matches(request)).map((rule) => rule.result.policy);
		if (audited.length === 0) return result;
		const names = [...new Set(audited)];
		return result.decision === ""
			? { decision: "audit", policy: names[0]!, audited: names }
			: { decision: result.decision, policy: result.policy, audited: names };
	};
}

function firstMatch(rules: readonly CompiledRule[], request: AuthorizationRequest): CompiledRule | undefined {
	for (const rule of rules) if (rule.matches(request)) return rule;
	return undefined;
}

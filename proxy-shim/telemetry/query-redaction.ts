/**
 * Queries hold passwords and signatures more often than anyone wants; what is well known to be a secret never leaves the proxy.
 * The value becomes `REDACTED`, as OpenTelemetry's conventions for `url.query` have it.
 */

/** Whole names, in lower case without `-` and `_`. */
const SECRETS: ReadonlySet<string> = new Set([
	"auth",
	"authorization",
	"awsaccesskeyid",
	"credential",
	"credentials",
	"jwt",
	"key",
	"pass",
	"passwd",
	"pwd",
	"session",
	"sessionid",
	"sid",
	"sig",
	"xamzcredential",
	"xgoogcredential",
]);
/** Ends of names: `access_token`, `clientSecret`, `X-Amz-Signature`. */
const SECRET_END = /(?:token|secret|password|passphrase|signature|apikey|accesskey|privatekey|otp)$/;

/** Nothing that might be one: most queries, in one look. A percent sign may hide a name. */
const SUSPECT = /auth|cred|jwt|key|pass|pwd|session|sid|sig|token|secret|otp|%/i;

/** @param query without the question mark */
export function redactQuery(query: string): string {
	if (!SUSPECT.test(query)) return query;
	return query.replace(/([^&;=]*)=([^&;]*)/g, (whole, name: string) => (isSecret(name) ? `${name}=REDACTED` : whole));
}

function isSecret(name: string): boolean {
	const bare = decoded(name).toLowerCase().replace(/[-_]/g, "");
	return SECRETS.has(bare) || SECRET_END.test(bare);
}

function decoded(name: string): string {
	if (!name.includes("%")) return name;
	try {
		return decodeURIComponent(name);
	} catch {
		return name;
	}
}

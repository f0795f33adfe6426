/**
 * Join tokens: each gives one key pair one identity, once. A token is a file of the state folder named after its ID, so that one is made
 * beside a running control plane by whoever may write there. Of its secret only the hash is kept.
 *
 * The first key that uses a token is the only one that ever can. It may use it again until the token expires: a proxy whose connection
 * broke before its certificate arrived is not locked out, and a thief has not the key.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { MeshscopeError } from "../../model/errors.ts";
import { CONTROL_NAMESPACE } from "../../model/mesh/control-protocol.ts";
import { formatJoinToken, parseJoinToken } from "../../model/mesh/join-token.ts";
import { parseSpiffeId } from "../../model/mesh/policy/spiffe.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";

export interface TokenRequest {
	/** `spiffe://<trust-domain>/ns/<ns>/sa/<sa>`. */
	readonly identity: string;
	/** Services beyond the one named like the service account. */
	readonly services: readonly string[];
	readonly ttlMs: number;
	readonly trustDomain: string;
	/** Root that the proxy must find behind the control plane's certificate, SHA-256 hex. */
	readonly rootSha256: string;
	/** Epoch ms. */
	readonly nowMs: number;
	readonly randomBytes: (length: number) => Buffer;
}

export interface RedeemedToken {
	readonly identity: string;
	readonly services: readonly string[];
}

interface StoredToken {
	readonly secretSha256: string;
	readonly identity: string;
	readonly services: readonly string[];
	readonly expiresAtMs: number;
	/** SHA-256 of the public key that used it. */
	readonly usedBy?: string;
}

const FILE = /^token-([0-9a-f]{16})\.json$/;
export const DEFAULT_TOKEN_TTL_MS = 600_000;
const MAX_TOKEN_TTL_MS = 7 * 86_400_000;
/** DNS label, as Kubernetes names services. */
const SERVICE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * @returns the token as text; it is nowhere else
 * @throws MeshscopeError `invalid_argument`
 */
export function createToken(state: StateFolder, request: TokenRequest): string {
	const { identity, services, ttlMs, trustDomain, nowMs } = request;
	const parsed = parseSpiffeId(identity);
	if (!parsed.ok) throw invalid("identity", `the ID ${parsed.reason}`);
	if (parsed.trustDomain !== trustDomain)
		throw invalid("identity", `its trust domain is not that of this mesh, which is ${trustDomain}`);
	if (parsed.namespace === CONTROL_NAMESPACE)
		throw invalid("identity", `namespace ${CONTROL_NAMESPACE} is the control plane's own`);
	const wrong = services.find((name) => !SERVICE_NAME.test(name));
	if (wrong !== undefined) throw invalid("service", `${JSON.stringify(wrong.slice(0, 80))} is no service name`);
	if (!(ttlMs >= 1_000 && ttlMs <= MAX_TOKEN_TTL_MS)) throw invalid("ttl", "a token lives from 1s to 7d");
	const id = request.randomBytes(8).toString("hex");
	const secret = request.randomBytes(32).toString("hex");
	const stored: StoredToken = { secretSha256: sha256(secret), identity, services, expiresAtMs: nowMs + ttlMs };
	state.write(fileOf(id), JSON.stringify(stored));
	return formatJoinToken({ id, secret, rootSha256: request.rootSha256 });
}

/**
 * Uses a token for a key. What it answers does not tell an unknown token from a wrong secret.
 * @param spkiSha256 the key, which a CSR has proved
 * @throws MeshscopeError `join_refused`
 */
export function redeemToken(state: StateFolder, text: string, spkiSha256: string, nowMs: number): RedeemedToken {
	const token = parseJoinToken(text);
	if (token === undefined) throw refused("it has not the form of a join token");
	const stored = readToken(state, token.id);
	// Compared against something in either case, so that time does not tell whether the ID exists.
	const matches = equalHex(sha256(token.secret), stored?.secretSha256 ?? sha256(""));
	if (stored === undefined || !matches) throw refused("it is not known here; it may have been cleared away after it expired");
	if (nowMs >= stored.expiresAtMs) throw refused("it has expired");
	if (stored.usedBy !== undefined && stored.usedBy !== spkiSha256) throw refused("it was used already, with another key");
	if (stored.usedBy === undefined) state.write(fileOf(token.id), JSON.stringify({ ...stored, usedBy: spkiSha256 }));
	return { identity: stored.identity, services: stored.services };
}

/** Files of tokens that can no longer be used are removed. */
export function clearExpiredTokens(state: StateFolder, nowMs: number): void {
	for (const name of state.list()) {
		const id = FILE.exec(name)?.[1];
		if (id === undefined) continue;
		const stored = readToken(state, id);
		if (stored === undefined || nowMs >= stored.expiresAtMs) state.remove(name);
	}
}

function readToken(state: StateFolder, id: string): StoredToken | undefined {
	const text = state.read(fileOf(id));
	if (text === undefined) return undefined;
	try {
		return JSON.parse(text) as StoredToken;
	} catch {
		return undefined;
	}
}

/** IDs are hex digits by their form, so a token names no file but a token's. */
function fileOf(id: string): string {
	return `token-${id}.json`;
}

function sha256(text: string): string {
	return createHash("sha256").update(text).digest("hex");
}

function equalHex(a: string, b: string): boolean {
	const [left, right] = [Buffer.from(a, "hex"), Buffer.from(b, "hex")];
	return left.length === right.length && timingSafeEqual(left, right);
}

function invalid(field: string, reason: string): MeshscopeError {
	return new MeshscopeError("invalid_argument", `${field}: ${reason}`, { details: { parameter: field } });
}

function refused(reason: string): MeshscopeError {
	return new MeshscopeError(
		"join_refused",
		`the join token is refused: ${reason}; make a new one with \`meshscope control token\``,
	);
}

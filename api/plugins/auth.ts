/** Bearer tokens for reads. Tokens are kept and compared as digests: in constant time, whatever their lengths. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";

/** Guards every route of `scope`; no tokens means that everyone may read. */
export function installAuth(scope: FastifyInstance, tokens: readonly string[]): void {
	if (tokens.length === 0) return;
	const isKnown = tokenCheck(tokens);
	scope.addHook("onRequest", async (request, reply) => {
		if (isKnown(request.headers.authorization)) return;
		reply.header("www-authenticate", 'Bearer realm="meshscope"');
		const problem = request.headers.authorization === undefined ? "no token was sent" : "the token is not known here";
		throw new MeshscopeError(
			"unauthenticated",
			`${problem}; send Authorization: Bearer <token> with a read token of this server`,
		);
	});
}

export function tokenCheck(tokens: readonly string[]): (authorization: string | undefined) => boolean {
	const known = tokens.map(digest);
	return (authorization) => {
		const sent = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
		if (sent === undefined) return false;
		const sentDigest = digest(sent);
		// Every token is compared, so that the time does not say which one came close.
		return known.filter((token) => timingSafeEqual(token, sentDigest)).length > 0;
	};
}

function digest(token: string): Buffer {
	return createHash("sha256").update(token).digest();
}

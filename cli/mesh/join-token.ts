/** A join token, made by whoever may write into a control plane's state, whether it runs or not. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { storedAuthority } from "../../control-plane/ca/authority.ts";
import type { NewToken } from "../../control-plane/control-plane.ts";
import { createToken, DEFAULT_TOKEN_TTL_MS } from "../../control-plane/join/tokens.ts";
import { CommandError } from "../context.ts";
import { openStateFolder } from "./state-folder.ts";

/**
 * @param stateDirectory as {@link controlStateDirectory} names it
 * @throws CommandError when no control plane has run there
 * @throws MeshscopeError `invalid_argument`, `state_unsafe`
 */
export function createJoinToken(stateDirectory: string, request: NewToken, nowMs: number): string {
	const state = existsSync(stateDirectory) ? openStateFolder(stateDirectory) : undefined;
	const authority = state && storedAuthority(state);
	if (state === undefined || authority === undefined)
		throw new CommandError(
			`no control plane has run with the state ${stateDirectory}; start one first, or name its data directory with --data`,
		);
	const { identity, services = [], ttlMs = DEFAULT_TOKEN_TTL_MS } = request;
	return createToken(state, { identity, services, ttlMs, ...authority, nowMs, randomBytes });
}

/**
 * The policy in force and how it came to be: which version, from which documents, and what was refused since. A policy with faults never
 * becomes a version, so it never reaches a proxy; the one before stays, over restarts too.
 */
import { createHash } from "node:crypto";
import type { PolicySnapshot } from "../../model/mesh/control-protocol.ts";
import type { ReadPolicy } from "../../model/mesh/mesh-files.ts";
import type { RejectedPolicy } from "../../model/mesh/mesh-state.ts";
import { readStateJson } from "../../model/mesh/state-folder.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";

export interface PolicyBook {
	/** Undefined until the first one without faults. */
	current(): PolicySnapshot | undefined;
	acceptedAtMs(): number | undefined;
	/** Newest first; empty once a sound policy came. */
	rejected(): readonly RejectedPolicy[];
	/** @returns what it came to: a new version, the same as before, or faults */
	submit(read: ReadPolicy, nowMs: number): "accepted" | "unchanged" | "rejected";
}

const STATE_FILE = "policy.json";
const MAX_REJECTED = 10;

export function openPolicyBook(state: StateFolder): PolicyBook {
	let stored = readStateJson(state, STATE_FILE) as (PolicySnapshot & { readonly acceptedAtMs: number }) | undefined;
	let rejected: readonly RejectedPolicy[] = [];
	return {
		current: () => stored && { version: stored.version, hash: stored.hash, documents: stored.documents },
		acceptedAtMs: () => stored?.acceptedAtMs,
		rejected: () => rejected,
		submit({ documents, faults }, nowMs) {
			if (faults.length > 0) {
				rejected = [{ atMs: nowMs, faults }, ...rejected].slice(0, MAX_REJECTED);
				return "rejected";
			}
			rejected = [];
			// Lines move with every comment; only values make a policy another one.
			const hash = createHash("sha256")
				.update(JSON.stringify(documents.map(({ value }) => value)))
				.digest("hex");
			if (hash === stored?.hash) return "unchanged";
			stored = {
				version: nextVersion(stored?.version),
				hash,
				// Readers may leave more on a document than is told.
				documents: documents.map(({ line, file, value }) => ({ line, file, value })),
				acceptedAtMs: nowMs,
			};
			state.write(STATE_FILE, JSON.stringify(stored));
			return "accepted";
		},
	};
}

function nextVersion(version: string | undefined): string {
	return String(BigInt(version ?? "0") + 1n);
}

/**
 * How one root takes the place of another without a refused handshake. A new root is first only trusted; once every proxy has said that
 * it trusts it, or a grace has passed, it signs; the old one stays trusted until the last leaf it signed has expired. Pure: the caller
 * keeps the list, the clock and the disk.
 */
import type { Root } from "./certificates.ts";

export type RootStage = "active" | "incoming" | "retiring";

export interface StagedRoot extends Root {
	readonly stage: RootStage;
	/** Of an incoming root: it signs from then on, whoever has not acknowledged it. Epoch ms. */
	readonly promoteByMs?: number;
	/** Of a retiring root: no leaf of it is valid any more. Epoch ms. */
	readonly dropAtMs?: number;
}

export function activeRoot(roots: readonly StagedRoot[]): StagedRoot {
	const root = roots.find(({ stage }) => stage === "active");
	if (root === undefined) throw new Error("no root is active");
	return root;
}

/** The same list while another rotation is under way: roots come one after the other. */
export function introduce(roots: readonly StagedRoot[], next: Root, promoteByMs: number): readonly StagedRoot[] {
	if (roots.some(({ stage }) => stage === "incoming")) return roots;
	return [...roots, { ...next, stage: "incoming", promoteByMs }];
}

export interface RotationStep {
	readonly nowMs: number;
	/** Every proxy that is known trusts the roots as they are. */
	readonly allTrust: boolean;
	/** Longest time that a leaf signed so far may be valid. */
	readonly leafTtlMs: number;
}

/** What the list becomes; the very same list where nothing is due. */
export function advance(roots: readonly StagedRoot[], { nowMs, allTrust, leafTtlMs }: RotationStep): readonly StagedRoot[] {
	const incoming = roots.find(({ stage }) => stage === "incoming");
	const promotes = incoming !== undefined && (allTrust || nowMs >= (incoming.promoteByMs ?? 0));
	const drops = roots.some((root) => isOver(root, nowMs));
	if (!promotes && !drops) return roots;
	return roots.filter((root) => !isOver(root, nowMs)).map((root) => (promotes ? promoted(root, nowMs + leafTtlMs) : root));
}

function promoted(root: StagedRoot, lastLeafEndsMs: number): StagedRoot {
	if (root.stage === "retiring") return root;
	const { promoteByMs: _over, ...rest } = root;
	return root.stage === "incoming" ? { ...rest, stage: "active" } : { ...rest, stage: "retiring", dropAtMs: lastLeafEndsMs };
}

function isOver(root: StagedRoot, nowMs: number): boolean {
	return root.stage === "retiring" && nowMs >= (root.dropAtMs ?? 0);
}

/**
 * What one proxy has still to be told. It remembers that something changed, not what it changed to: a frame is made when the stream can
 * take it, so a slow reader gets the newest state and never a queue of old ones. Answers to its own questions are the exception, and
 * bounded.
 */
import type { ControlMessage } from "../../model/mesh/control-protocol.ts";
import { encodeFrame } from "../../model/mesh/frames.ts";

export interface OutboxSources {
	/** Undefined while there is no policy. One encoding for all streams. */
	readonly policyFrame: () => Uint8Array | undefined;
	readonly bundleFrame: () => Uint8Array;
	/** Of these services; of all of them, as a complete list, for undefined. */
	readonly endpointsFrame: (services: readonly string[] | undefined) => Uint8Array;
}

export interface Outbox {
	/** False when so many answers wait that the proxy cannot be reading them. */
	answer(message: ControlMessage): boolean;
	bundleChanged(): void;
	policyChanged(): void;
	/** Undefined: all of them, in full. */
	endpointsChanged(services: readonly string[] | undefined): void;
	/** The stream takes more. */
	drained(): void;
	/** Since when it has not; undefined while it does. */
	blockedSinceMs(): number | undefined;
}

const MAX_ANSWERS = 64;

/** @param write false when the stream is full until `drained` */
export function createOutbox(sources: OutboxSources, write: (frame: Uint8Array) => boolean, nowMs: () => number): Outbox {
	const answers: Uint8Array[] = [];
	const services = new Set<string>();
	let bundle = false;
	let policy = false;
	let allServices = false;
	let blockedSince: number | undefined;

	function next(): Uint8Array | undefined {
		// Roots come before the certificates they sign, policy before the endpoints it names.
		if (bundle) {
			bundle = false;
			return sources.bundleFrame();
		}
		const answer = answers.shift();
		if (answer !== undefined) return answer;
		if (policy) {
			policy = false;
			const frame = sources.policyFrame();
			if (frame !== undefined) return frame;
		}
		if (!allServices && services.size === 0) return undefined;
		const frame = sources.endpointsFrame(allServices ? undefined : [...services]);
		allServices = false;
		services.clear();
		return frame;
	}

	function pump(): void {
		while (blockedSince === undefined) {
			const frame = next();
			if (frame === undefined) return;
			if (!write(frame)) blockedSince = nowMs();
		}
	}

	return {
		answer(message) {
			if (answers.length >= MAX_ANSWERS) return false;
			answers.push(encodeFrame(message));
			pump();
			return true;
		},
		bundleChanged() {
			bundle = true;
			pump();
		},
		policyChanged() {
			policy = true;
			pump();
		},
		endpointsChanged(changed) {
			if (changed === undefined) allServices = true;
			else for (const key of changed) services.add(key);
			pump();
		},
		drained() {
			blockedSince = undefined;
			pump();
		},
		blockedSinceMs: () => blockedSince,
	};
}

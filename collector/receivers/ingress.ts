/**
 * What all receivers share: the sink behind them, who may send, and how a refusal is counted, worded and logged.
 *
 * Owns no connection and no payload. Text that a peer controls passes `printable` before it reaches a message or a log line.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { MeshscopeError } from "../../model/errors.ts";
import type { IncomingBatch, IngestOutcome, IngestSink } from "../ingest.ts";
import type { Reservation } from "./payload-buffer.ts";
import type { ReceiverLimits, ReceiverLog, Refusal, Transport } from "./settings.ts";
import type { Signal } from "../../store/store.ts";

/** Metadata with which meshscope marks its own telemetry, so that it is stored but never traced again. */
export const SELF_HEADER = "x-meshscope-self";

export interface Ingress {
	readonly sink: IngestSink;
	readonly limits: ReceiverLimits;
	readonly log: ReceiverLog;
	/** True when the request may ingest; reads the `authorization` header. */
	readonly authorized: (authorization: string | undefined) => boolean;
	/** Set once the process drains: what arrives from then on is refused as retryable. */
	readonly draining: () => boolean;
	readonly noteRefusal: (transport: Transport, signal: Signal | undefined, refusal: Refusal) => void;
}

/**
 * Compares digests under a random key, all of them and in constant time, so that neither the tokens' lengths nor their number of
 * matching bytes shows in the answer's timing.
 */
export function tokenCheck(tokens: readonly string[]): (authorization: string | undefined) => boolean {
	if (tokens.length === 0) return () => true;
	const key = randomBytes(32);
	const digest = (text: string): Buffer => createHmac("sha256", key).update(text).digest();
	const known = tokens.map(digest);
	return (authorization) => {
		const match = /^bearer +(.+)$/i.exec(authorization ?? "");
		if (match === null) return false;
		const presented = digest(match[1]!.trim());
		let found = false;
		for (const token of known) if (timingSafeEqual(token, presented)) found = true;
		return found;
	};
}

const NOTE_EVERY_MS = 10_000;

/**
 * Logs refusals at most once per transport and code in 10 s, with how many were left out: an overload must not become a log flood.
 * The keys are transports × error codes, so the map is bounded whatever peers send.
 */
export function refusalNotes(
	log: ReceiverLog,
	nowMs: () => number,
): (transport: Transport, signal: Signal | undefined, refusal: Refusal) => void {
	const notes = new Map<string, { lastMs: number; suppressed: number }>();
	return (transport, signal, refusal) => {
		const key = `${transport} ${refusal.code}`;
		const now = nowMs();
		const note = notes.get(key);
		if (note !== undefined && now - note.lastMs < NOTE_EVERY_MS) {
			note.suppressed++;
			return;
		}
		log("warn", "refused", {
			receiver: transport,
			signal,
			code: refusal.code,
			reason: printable(refusal.message, 300),
			notLoggedSince: note?.suppressed ?? 0,
		});
		notes.set(key, { lastMs: now, suppressed: 0 });
	};
}

/**
 * Hands a complete payload to the sink. The sink accounts for it from the call on, so the reservation ends there: kept longer,
 * every byte would count twice until its commit.
 */
export async function deliver(ingress: Ingress, batch: IncomingBatch, reservation: Reservation): Promise<IngestOutcome> {
	try {
		const outcome = ingress.sink.submit(batch);
		reservation.release();
		return await outcome;
	} catch (cause) {
		ingress.log("error", "the pipeline failed on a batch", { error: cause instanceof Error ? cause.message : String(cause) });
		return { kind: "refused", code: "internal", message: "The pipeline failed on this batch." };
	} finally {
		reservation.release();
	}
}

/** The refusal that a thrown error stands for; anything but a MeshscopeError is a fault of ours and is logged as one. */
export function refusalOf(error: unknown, ingress: Ingress): Refusal {
	if (error instanceof MeshscopeError) return { code: error.code, message: error.message, retryAfterMs: error.retryAfterMs };
	ingress.log("error", "a receiver failed", { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
	return { code: "internal", message: "The receiver failed on this request." };
}

export function overloaded(limits: ReceiverLimits): MeshscopeError {
	return new MeshscopeError("overloaded", "The ingest queue is full; send the same batch again after the delay given.", {
		retryAfterMs: limits.overloadRetryAfterMs,
	});
}

export function tooLarge(limits: ReceiverLimits, what: string): MeshscopeError {
	return new MeshscopeError(
		"payload_too_large",
		`${what} exceeds the limit of ${limits.maxPayloadBytes} bytes, counted after decompression; lower the exporter's batch size or raise --max-payload.`,
	);
}

/** Control, line-separating and direction-changing characters, which could forge a second log line or hide text in a terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/gu;

/** Text of a peer, safe to show: unprintable characters escaped, cut to `maxChars`. */
export function printable(text: string, maxChars = 120): string {
	const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text;
	return cut.replace(UNPRINTABLE, (c) => (c === "\\" ? "\\\\" : `\\u{${c.codePointAt(0)!.toString(16)}}`)).toWellFormed();
}

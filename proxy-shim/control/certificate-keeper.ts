/**
 * The proxy's certificate: asked for, checked, kept on disk, renewed at half of its life. While renewal fails the old one is used to its
 * end. It knows the roots too, and tells both as one identity.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { ControlMessage, ProxyMessage } from "../../model/mesh/control-protocol.ts";
import type { Identity, IdentitySource } from "../tls/identity-source.ts";
import { createCsrPem } from "./csr.ts";
import { listeners } from "./listeners.ts";
import { backoffMs, renewAtMs } from "./renewal.ts";
import type { SavedBundle, SavedCertificate, SavedState } from "./saved-state.ts";
import type { ControlLog } from "./sources.ts";
import type { Timers } from "./timers.ts";

export interface CertificateKeeperOptions {
	readonly principal: string;
	readonly instanceId: string;
	readonly saved: SavedState;
	readonly timers: Timers;
	readonly log: ControlLog;
}

export type Send = (message: ProxyMessage) => boolean;

export interface CertificateKeeper extends IdentitySource {
	/** For a connection; undefined without a certificate that is valid now. */
	credentials(): { readonly chainPem: string; readonly keyPem: string } | undefined;
	bundle(): SavedBundle | undefined;
	/** A stream that speaks for the identity is there: what is due is asked for now. */
	connected(send: Send): void;
	disconnected(): void;
	/** Asks for the first certificate. The key stays the same for a token, which no other key can use. */
	join(send: Send, tokenId: string): void;
	/** @returns true when a new certificate is in use */
	receive(message: Extract<ControlMessage, { kind: "certificate" }>): boolean;
	refused(requestId: number, code: string, message: string): void;
	receiveBundle(bundle: SavedBundle): void;
	renewAtMs(): number | undefined;
	close(): void;
}

interface Held extends SavedCertificate {
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
	readonly renewAtMs: number;
}

interface Pending {
	readonly requestId: number;
	readonly key: KeyObject;
	readonly cancelPatience: () => void;
}

const ANSWER_TIMEOUT_MS = 10_000;

export function createCertificateKeeper(options: CertificateKeeperOptions): CertificateKeeper {
	const { principal, instanceId, saved, timers, log } = options;
	const listening = listeners<Identity>(log);
	let bundle = soundBundle(saved.read("bundle"));
	let held = heldOf(saved.read("certificate"));
	let pending: Pending | undefined;
	let lastRequestId = 0;
	let failures = 0;
	let send: Send | undefined;
	let cancelTimer: (() => void) | undefined;
	if (held !== undefined && held.principal !== principal) held = undefined;

	return {
		current: identity,
		onChange: listening.add,
		credentials: () => (held !== undefined && timers.nowMs() < held.notAfterMs ? held : undefined),
		bundle: () => bundle,
		connected(newSend) {
			send = newSend;
			failures = 0;
			schedule();
		},
		disconnected() {
			send = undefined;
			drop();
			cancelTimer?.();
		},
		join(joinSend, tokenId) {
			const known = saved.read("join-key");
			const key = (known?.tokenId === tokenId ? keyOf(known.keyPem) : undefined) ?? newKey();
			saved.write("join-key", { tokenId, keyPem: pemOf(key) });
			request(joinSend, key);
		},
		receive(message) {
			if (pending?.requestId !== message.requestId) return false;
			const { key } = pending;
			drop();
			const problem = problemOf(message.chainPem, key);
			if (problem !== undefined) {
				failed(`the certificate that came is not used: ${problem}`);
				return false;
			}
			failures = 0;
			const certificate = { principal, chainPem: message.chainPem, keyPem: pemOf(key), receivedMs: timers.nowMs() };
			saved.write("certificate", certificate);
			saved.remove("join-key");
			held = heldOf(certificate);
			log("info", "the certificate is new", { principal, notAfterMs: held?.notAfterMs });
			tell();
			schedule();
			return true;
		},
		refused(requestId, code, message) {
			if (pending?.requestId !== requestId) return;
			drop();
			failed(`${code}: ${message}`);
		},
		receiveBundle(received) {
			if (received.rootsPem.length === 0 || received.trustDomain !== bundleDomain() || soundBundle(received) === undefined)
				return;
			const before = bundle;
			bundle = { trustDomain: received.trustDomain, sequence: received.sequence, rootsPem: [...received.rootsPem] };
			if (before?.sequence === bundle.sequence && before.rootsPem.join("") === bundle.rootsPem.join("")) return;
			saved.write("bundle", bundle);
			tell();
		},
		renewAtMs: () => held?.renewAtMs,
		close() {
			drop();
			cancelTimer?.();
		},
	};

	function identity(): Identity | undefined {
		if (held === undefined || bundle === undefined || timers.nowMs() >= held.notAfterMs) return undefined;
		const { chainPem, keyPem, notBeforeMs, notAfterMs } = held;
		return { principal, chainPem, keyPem, rootsPem: bundle.rootsPem, notBeforeMs, notAfterMs };
	}

	function tell(): void {
		const now = identity();
		if (now !== undefined) listening.tell(now);
	}

	/** The one timer: the renewal that is due next, by life or after a failure. */
	function schedule(dueMs = held?.renewAtMs ?? 0): void {
		cancelTimer?.();
		cancelTimer = timers.setTimer(() => {
			if (send === undefined || pending !== undefined) return;
			if (timers.nowMs() >= dueMs) request(send, newKey());
			else schedule(dueMs);
		}, dueMs - timers.nowMs());
	}

	function request(to: Send, key: KeyObject): void {
		drop();
		const requestId = ++lastRequestId;
		const cancelPatience = timers.setTimer(() => {
			if (pending?.requestId !== requestId) return;
			drop();
			failed("no certificate came in time");
		}, ANSWER_TIMEOUT_MS);
		pending = { requestId, key, cancelPatience };
		const csrPem = createCsrPem({ privateKey: key, publicKey: createPublicKey(key) });
		if (to({ kind: "csr", instanceId, requestId, csrPem })) return;
		drop();
		failed("the stream has ended");
	}

	/** The old certificate stays; it is tried again soon, and the sooner the shorter certificates live. */
	function failed(reason: string): void {
		log("warn", "no certificate could be had", { principal, reason, notAfterMs: held?.notAfterMs });
		if (send === undefined) return;
		const lifeMs = held === undefined ? 60_000 : held.notAfterMs - held.receivedMs;
		const waitMs = backoffMs(failures++, timers.random(), {
			baseMs: Math.max(100, lifeMs / 100),
			maxMs: Math.max(1_000, lifeMs / 20),
		});
		schedule(timers.nowMs() + waitMs);
	}

	function drop(): void {
		pending?.cancelPatience();
		pending = undefined;
	}

	function bundleDomain(): string {
		return principal.slice("spiffe://".length).split("/", 1)[0]!;
	}

	function problemOf(chainPem: string, key: KeyObject): string | undefined {
		try {
			const certificate = new X509Certificate(chainPem);
			if (!certificate.checkPrivateKey(key)) return "it is of another key";
			if (certificate.subjectAltName !== `URI:${principal}`) return `it is for ${certificate.subjectAltName ?? "nobody"}`;
			if (certificate.validToDate.getTime() <= timers.nowMs()) return "it has expired already; compare the clocks";
			const roots = (bundle?.rootsPem ?? []).map((pem) => new X509Certificate(pem));
			return roots.some((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey))
				? undefined
				: "no trusted root has signed it";
		} catch (error) {
			return error instanceof Error ? error.message : String(error);
		}
	}

	function heldOf(certificate: SavedCertificate | undefined): Held | undefined {
		if (certificate === undefined) return undefined;
		try {
			const { validFromDate, validToDate } = new X509Certificate(certificate.chainPem);
			const notAfterMs = validToDate.getTime();
			return {
				...certificate,
				notBeforeMs: validFromDate.getTime(),
				notAfterMs,
				renewAtMs: renewAtMs(certificate.receivedMs, notAfterMs, timers.random()),
			};
		} catch {
			return undefined;
		}
	}
}

/** A damaged one is as good as none: the next connection tells it again. */
function soundBundle(bundle: SavedBundle | undefined): SavedBundle | undefined {
	try {
		bundle?.rootsPem.forEach((pem) => new X509Certificate(pem));
		return bundle;
	} catch {
		return undefined;
	}
}

function newKey(): KeyObject {
	return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

/** Undefined for a damaged one. */
function keyOf(pem: string): KeyObject | undefined {
	try {
		return createPrivateKey(pem);
	} catch {
		return undefined;
	}
}

function pemOf(key: KeyObject): string {
	return key.export({ type: "pkcs8", format: "pem" }).toString();
}

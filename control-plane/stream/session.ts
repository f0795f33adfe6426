/**
 * One proxy's side of the conversation: who it is, what it may ask, what it said. Two kinds of stream: one without a client certificate
 * joins, that is, it gets a certificate for its token and nothing else; one with a certificate speaks for that identity alone.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { ErrorCode } from "../../model/errors.ts";
import type { PolicyFault } from "../../model/mesh/control-protocol.ts";
import type { Frame } from "../../model/mesh/frames.ts";
import { formatSpiffeId } from "../../model/mesh/policy/spiffe.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import type { Authority } from "../ca/authority.ts";
import { checkCsr } from "../ca/csr.ts";
import type { Grants } from "../join/grants.ts";
import { redeemToken } from "../join/tokens.ts";
import type { IssuedCertificate, ProxyBook } from "../registry/proxies.ts";
import { readHello, readInstanceId, violation } from "../registry/registration.ts";
import type { Hello } from "../registry/registration.ts";
import type { Registry } from "../registry/registry.ts";
import type { Outbox } from "./outbox.ts";
import { rate } from "./rate.ts";

export type SessionLog = (level: "debug" | "info" | "warn", message: string, fields: Readonly<Record<string, unknown>>) => void;

export interface SessionDeps {
	readonly state: StateFolder;
	readonly authority: Authority;
	readonly grants: Grants;
	readonly registry: Registry;
	readonly proxies: ProxyBook;
	/** Which session speaks for an instance, so that an old stream's end does not take a new one's instance away. */
	readonly owners: Map<string, ProxySession>;
	readonly nowMs: () => number;
	readonly log: SessionLog;
}

export interface SessionPeer {
	/** From a certificate that was verified; undefined without one. */
	readonly principal: string | undefined;
	/** The one it showed. */
	readonly certificate: IssuedCertificate | undefined;
	/** Why a certificate that was shown does not count; empty where none was shown. */
	readonly problem: string;
	readonly remoteAddress: string;
}

export interface ProxySession {
	/**
	 * Takes one message; those of a stream come one after the other.
	 * @throws MeshscopeError after which the stream ends
	 */
	handle(frame: Frame): Promise<void>;
	/** The stream is gone. */
	ended(): void;
	/** Has it said hello? */
	hasIntroducedItself(): boolean;
	/** The certificate behind it is over from then on; a renewal on the stream puts it off. Epoch ms. */
	validUntilMs(): number;
	readonly outbox: Outbox;
}

const MAX_INSTANCES = 64;
const MAX_FAULTS = 100;
/** A request that is refused so leaves the stream as it was. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["csr_refused", "join_refused", "identity_refused", "overloaded"]);

export function createSession(deps: SessionDeps, peer: SessionPeer, outbox: Outbox): ProxySession {
	const { authority, grants, registry, proxies, owners, nowMs } = deps;
	/** By instance ID. */
	const hellos = new Map<string, Hello>();
	const messages = rate(200, 50);
	const requests = rate(10, 2);
	let validUntilMs = peer.certificate?.notAfterMs ?? Infinity;

	const session: ProxySession = {
		outbox,
		hasIntroducedItself: () => hellos.size > 0,
		validUntilMs: () => validUntilMs,
		async handle(frame) {
			if (!messages.take(nowMs())) throw violation(frame.kind, "comes too often: 50 messages a second are the most");
			switch (frame.kind) {
				case "hello":
					return hello(frame);
				case "csr":
					return csr(frame);
				case "ack":
				case "nack":
				case "bundle_ack":
				case "health":
				case "bye":
					return told(frame);
				default:
			}
		},
		ended() {
			for (const instanceId of hellos.keys()) {
				if (owners.get(instanceId) !== session) continue;
				owners.delete(instanceId);
				registry.lose(instanceId);
				proxies.change(instanceId, { connectedSinceMs: undefined });
			}
		},
	};
	return session;

	function hello(frame: Frame): void {
		const said = readHello(frame, peer.remoteAddress);
		if (hellos.size >= MAX_INSTANCES && !hellos.has(said.instanceId))
			throw violation("hello", `comes for more than ${MAX_INSTANCES} instances`);
		if (peer.principal === undefined) {
			if (said.token === undefined) throw new MeshscopeError("join_refused", noCredentials(peer.problem));
			hellos.set(said.instanceId, said);
			return;
		}
		checkClaims(said, peer.principal, []);
		const arrived = registry.arrive({ ...said, principal: peer.principal });
		if (arrived === "taken")
			throw new MeshscopeError(
				"identity_refused",
				`instance ${said.instanceId} belongs to another identity; choose another ID`,
			);
		if (arrived === "full") throw new MeshscopeError("overloaded", "there are more instances than a control plane holds");
		const isFirst = hellos.size === 0;
		hellos.set(said.instanceId, said);
		owners.set(said.instanceId, session);
		const before = proxies.get(said.instanceId);
		proxies.put({
			instanceId: said.instanceId,
			principal: peer.principal,
			remoteAddress: peer.remoteAddress,
			proxyVersion: said.proxyVersion,
			connectedSinceMs: nowMs(),
			policyVersion: said.policyVersion,
			nack: before?.nack,
			bundleSequence: before?.bundleSequence ?? 0,
			certificate: peer.certificate,
		});
		deps.log("info", "proxy connected", { instanceId: said.instanceId, principal: peer.principal });
		// What is told belongs to the stream: more instances on it, or the same one again, make it no longer.
		if (!isFirst) return;
		outbox.bundleChanged();
		outbox.policyChanged();
		outbox.endpointsChanged(undefined);
	}

	async function csr(frame: Frame): Promise<void> {
		const said = known(frame);
		const requestId = frame["requestId"];
		if (typeof requestId !== "number" || !Number.isSafeInteger(requestId))
			throw violation("csr.requestId", "must be a number");
		try {
			if (!requests.take(nowMs()))
				throw new MeshscopeError("overloaded", "certificates are asked for too often: two a second are the most");
			await sign(frame, said, requestId);
		} catch (error) {
			if (!(error instanceof MeshscopeError) || !REFUSALS.has(error.code)) throw error;
			deps.log("warn", "certificate refused", { instanceId: said.instanceId, code: error.code, reason: error.message });
			answer({ kind: "refused", instanceId: said.instanceId, requestId, code: error.code, message: error.message });
		}
	}

	async function sign(frame: Frame, said: Hello, requestId: number): Promise<void> {
		const checked = await checkCsr(typeof frame["csrPem"] === "string" ? frame["csrPem"] : "");
		let principal = peer.principal;
		if (principal === undefined) {
			const token = typeof frame["token"] === "string" ? frame["token"] : (said.token ?? "");
			const redeemed = redeemToken(deps.state, token, checked.spkiSha256, nowMs());
			principal = redeemed.identity;
			checkClaims(said, principal, redeemed.services);
			grants.grant(principal, redeemed.services);
			outbox.bundleChanged();
		}
		const leaf = await authority.issue(checked.spki, principal);
		const { serial, notBeforeMs, notAfterMs, rootSha256 } = leaf;
		if (peer.principal !== undefined) {
			validUntilMs = notAfterMs;
			proxies.change(said.instanceId, { certificate: { serial, notBeforeMs, notAfterMs, rootSha256 } });
		}
		deps.log("info", "certificate issued", { instanceId: said.instanceId, principal, serial, notAfterMs });
		const { certPem: chainPem } = leaf;
		answer({ kind: "certificate", instanceId: said.instanceId, requestId, chainPem, notAfterMs });
	}

	function told(frame: Frame): void {
		if (peer.principal === undefined) throw violation(frame.kind, "comes before the proxy has a certificate");
		const { instanceId } = known(frame);
		// Another stream speaks for it by now.
		if (owners.get(instanceId) !== session) return;
		if (frame.kind === "ack") {
			proxies.change(instanceId, { policyVersion: text(frame, "version"), nack: undefined });
		} else if (frame.kind === "nack") {
			const nack = { version: text(frame, "version"), atMs: nowMs(), faults: faultsOf(frame["faults"]) };
			proxies.change(instanceId, { nack });
			deps.log("warn", "proxy refused the policy", { instanceId, ...nack });
		} else if (frame.kind === "bundle_ack") {
			const sequence = frame["sequence"];
			if (typeof sequence !== "number") throw violation("bundle_ack.sequence", "must be a number");
			proxies.change(instanceId, { bundleSequence: Math.min(sequence, authority.bundle().sequence) });
		} else if (frame.kind === "health") {
			registry.health(instanceId, frame["healthy"] === true, text(frame, "reason"));
		} else {
			hellos.delete(instanceId);
			owners.delete(instanceId);
			registry.leave(instanceId);
			proxies.remove(instanceId);
			deps.log("info", "proxy left", { instanceId });
		}
	}

	function known(frame: Frame): Hello {
		const said = hellos.get(readInstanceId(frame));
		if (said === undefined) throw violation(frame.kind, "comes before the hello of its instance");
		return said;
	}

	/** The identity decides; what the proxy says of itself must agree with it. */
	function checkClaims(said: Hello, principal: string, services: readonly string[]): void {
		const { service } = said.workload;
		let claimed: string;
		try {
			claimed = formatSpiffeId(said.workload);
		} catch {
			throw violation("hello.workload", "has a trust domain, namespace or service account that makes no SPIFFE ID");
		}
		if (claimed !== principal)
			throw new MeshscopeError(
				"identity_refused",
				`the workload says that it is ${claimed}, but it was given ${principal}`,
			);
		if (service !== "" && !services.includes(service) && !grants.allows(principal, service))
			throw new MeshscopeError(
				"identity_refused",
				`${principal} may not answer for service ${service}; make its token with --service ${service}`,
			);
	}

	function answer(message: Parameters<Outbox["answer"]>[0]): void {
		if (!outbox.answer(message)) throw violation(message.kind, "waits unread together with many others");
	}
}

function noCredentials(problem: string): string {
	return problem === ""
		? "neither a join token nor a client certificate was shown"
		: `no join token was shown, and the client certificate does not count: ${problem}`;
}

function text(frame: Frame, name: string): string {
	const value = frame[name];
	if (typeof value === "string" && value.length <= 1_024) return value;
	throw violation(`${frame.kind}.${name}`, "must be text of at most 1024 characters");
}

function faultsOf(value: unknown): readonly PolicyFault[] {
	if (!Array.isArray(value)) throw violation("nack.faults", "must be a list");
	const short = (part: unknown): string => (typeof part === "string" ? part.slice(0, 1_024) : "");
	const whole = (part: unknown): number => (Number.isSafeInteger(part) ? Number(part) : 0);
	return value.slice(0, MAX_FAULTS).map((one: unknown) => {
		const fault = typeof one === "object" && one !== null ? (one as Readonly<Record<string, unknown>>) : {};
		return {
			file: short(fault["file"]),
			line: whole(fault["line"]),
			column: whole(fault["column"]),
			path: short(fault["path"]),
			message: short(fault["message"]),
		};
	});
}

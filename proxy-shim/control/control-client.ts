/**
 * The proxy's line to its control plane. It joins with a token, speaks over mTLS from then on, takes policy, endpoints and roots, keeps
 * its certificate fresh, and comes back after every cut; without a control plane it runs on with what is on its disk. One client speaks
 * for one identity; a node proxy has one a workload.
 */
import type { ControlMessage, Registration, ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import type { Frame } from "../../model/mesh/frames.ts";
import { parseJoinToken } from "../../model/mesh/join-token.ts";
import type { JoinToken } from "../../model/mesh/join-token.ts";
import { formatSpiffeId } from "../../model/mesh/policy/spiffe.ts";
import type { Workload } from "../../model/mesh/proxy-config.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import type { IdentitySource } from "../tls/identity-source.ts";
import { createCertificateKeeper } from "./certificate-keeper.ts";
import { createEndpointKeeper } from "./endpoint-keeper.ts";
import { createPolicyKeeper, isSnapshot } from "./policy-keeper.ts";
import { backoffMs } from "./renewal.ts";
import { savedState } from "./saved-state.ts";
import type { ControlLog, EndpointSource, PolicySource } from "./sources.ts";
import { openStream } from "./stream.ts";
import type { ControlStream } from "./stream.ts";
import { systemTimers } from "./timers.ts";
import type { Timers } from "./timers.ts";
import { fetchPinnedRoot, sha256Of } from "./trust.ts";
import type { ControlAddress } from "./trust.ts";

export interface ControlClientOptions {
	readonly address: ControlAddress;
	readonly workload: Workload;
	/** Where peers reach the workload; undefined for a pure client. */
	readonly registration?: Registration | undefined;
	readonly proxyVersion: string;
	/** Asked at each attempt to join, so that a new one may be laid down while the proxy runs. */
	readonly token: () => string | undefined;
	readonly state: StateFolder;
	readonly log: ControlLog;
	readonly timers?: Timers;
	readonly timings?: Partial<ControlTimings>;
}

export interface ControlTimings {
	readonly answerMs: number;
	readonly pingEveryMs: number;
	readonly backoffBaseMs: number;
	readonly backoffMaxMs: number;
}

export interface ControlClientStatus {
	readonly connectedSinceMs: number | undefined;
	/** Why there is no connection; empty where there is one. */
	readonly problem: string;
	readonly attempts: number;
	readonly renewAtMs: number | undefined;
}

export interface ControlClient {
	readonly policy: PolicySource;
	readonly endpoints: EndpointSource;
	readonly identity: IdentitySource;
	/** Of the app behind the proxy. */
	setHealth(healthy: boolean, reason: string): void;
	status(): ControlClientStatus;
	/** Says goodbye, so that peers stop calling at once. */
	close(): Promise<void>;
}

const DEFAULT_TIMINGS: ControlTimings = { answerMs: 10_000, pingEveryMs: 15_000, backoffBaseMs: 500, backoffMaxMs: 30_000 };

/** @throws RangeError when the workload's names make no SPIFFE ID */
export function startControlClient(options: ControlClientOptions): ControlClient {
	const { address, workload, log } = options;
	const timers = options.timers ?? systemTimers();
	const timings: ControlTimings = { ...DEFAULT_TIMINGS, ...options.timings };
	const { instanceId, trustDomain } = workload;
	const principal = formatSpiffeId(workload);
	const saved = savedState(options.state, log);
	const certificates = createCertificateKeeper({ principal, instanceId, saved, timers, log });
	const policy = createPolicyKeeper(instanceId, saved, log);
	const endpoints = createEndpointKeeper(saved, timers, log);
	let stream: ControlStream | undefined;
	let health: { readonly healthy: boolean; readonly reason: string } | undefined;
	let connectedSinceMs: number | undefined;
	let problem = "not connected yet";
	let attempts = 0;
	let cancelRetry: (() => void) | undefined;
	let isClosed = false;
	/** The certificate at hand was refused: the next attempt is made with a token, if there is one. */
	let isCertificateRefused = false;
	void attempt();

	return {
		policy,
		endpoints,
		identity: certificates,
		setHealth(healthy, reason) {
			health = { healthy, reason };
			tellHealth();
		},
		status: () => ({
			connectedSinceMs,
			problem: connectedSinceMs === undefined ? problem : "",
			attempts,
			renewAtMs: certificates.renewAtMs(),
		}),
		async close() {
			isClosed = true;
			cancelRetry?.();
			if (connectedSinceMs !== undefined) stream?.send({ kind: "bye", instanceId });
			certificates.close();
			endpoints.close();
			await stream?.close();
		},
	};

	/** One try; each ends in `again` or in a stream whose end does. */
	async function attempt(): Promise<void> {
		if (isClosed) return;
		attempts++;
		try {
			await begin();
		} catch (error) {
			again(error instanceof Error ? error.message : String(error));
		}
	}

	async function begin(): Promise<void> {
		const credentials = certificates.credentials();
		const bundle = certificates.bundle();
		const token = usableToken();
		if (credentials !== undefined && bundle !== undefined && token === undefined) {
			speak(credentials, bundle.rootsPem);
			return;
		}
		if (token === undefined) {
			again("there is no valid certificate and no join token; make one with `meshscope control token`");
			return;
		}
		const root = await fetchPinnedRoot(address, token.rootSha256, timings.answerMs);
		if (!isClosed) join(token, root);
	}

	/** Where the certificate at hand does not do: there is none, it was refused, or a token of another authority was laid down. */
	function usableToken(): JoinToken | undefined {
		const text = options.token();
		const token = text === undefined ? undefined : parseJoinToken(text);
		if (text !== undefined && text.trim() !== "" && token === undefined)
			log("warn", "the join token has not the form of one", {});
		if (token === undefined) return undefined;
		const roots = certificates.bundle()?.rootsPem ?? [];
		const isOfOtherAuthority = !roots.some((pem) => sha256Of(pem) === token.rootSha256);
		const isUsed = saved.read("joined")?.tokenId === token.id;
		if (certificates.credentials() === undefined || roots.length === 0) return token;
		return isCertificateRefused || (isOfOtherAuthority && !isUsed) ? token : undefined;
	}

	function join(token: JoinToken, rootPem: string): void {
		const text = options.token();
		const cancelPatience = timers.setTimer(() => opened.destroy(), timings.answerMs);
		const opened = open([rootPem], undefined, {
			onOpen() {
				opened.send({ kind: "hello", ...hello(), ...(text === undefined ? {} : { token: text.trim() }) });
				certificates.join((message) => opened.send(message), token.id);
			},
			onMessage(message) {
				if (message.kind === "bundle") certificates.receiveBundle(message);
				else if (message.kind === "certificate" && certificates.receive(message)) {
					saved.write("joined", { tokenId: token.id });
					isCertificateRefused = false;
					problem = "";
					opened.destroy();
				} else if (message.kind === "refused") {
					problem = `${message.code}: ${message.message}`;
					// Next time the certificate has its turn again, if there is one.
					isCertificateRefused = false;
					opened.destroy();
				}
			},
			onEnd(reason) {
				cancelPatience();
				certificates.disconnected();
				if (certificates.credentials() === undefined || problem !== "") again(problem === "" ? reason : problem);
				else void attempt();
			},
		});
	}

	function speak(credentials: { readonly chainPem: string; readonly keyPem: string }, rootsPem: readonly string[]): void {
		const opened = open(rootsPem, credentials, {
			onOpen() {
				opened.send({ kind: "hello", ...hello(), ...(options.registration && { registration: options.registration }) });
				connectedSinceMs = timers.nowMs();
				const send = opened.send;
				policy.connected(send);
				certificates.connected(send);
				tellHealth();
			},
			onMessage(message) {
				switch (message.kind) {
					case "bundle":
						certificates.receiveBundle(message);
						opened.send({ kind: "bundle_ack", instanceId, sequence: message.sequence });
						return;
					case "certificate":
						certificates.receive(message);
						return;
					case "policy":
						backToNormal();
						policy.receive(message.snapshot);
						return;
					case "endpoints":
						backToNormal();
						endpoints.receive(message.services, message.complete);
						return;
					default:
						refused(message);
				}
			},
			onEnd(reason) {
				certificates.disconnected();
				policy.disconnected();
				connectedSinceMs = undefined;
				again(problem === "" ? reason : problem);
			},
		});
	}

	function refused(message: Extract<ControlMessage, { kind: "refused" }>): void {
		if (message.requestId !== undefined) {
			certificates.refused(message.requestId, message.code, message.message);
			return;
		}
		problem = `${message.code}: ${message.message}`;
		isCertificateRefused = message.code === "join_refused";
		log("warn", "the control plane refuses this proxy", { code: message.code, reason: message.message });
	}

	function backToNormal(): void {
		attempts = 0;
		problem = "";
		isCertificateRefused = false;
	}

	function open(
		rootsPem: readonly string[],
		credentials: { readonly chainPem: string; readonly keyPem: string } | undefined,
		on: {
			readonly onOpen: () => void;
			readonly onMessage: (message: ControlMessage) => void;
			readonly onEnd: (reason: string) => void;
		},
	): ControlStream {
		problem = "";
		const opened = openStream({
			...{ address, trustDomain, rootsPem, credentials },
			timeoutMs: timings.answerMs,
			pingEveryMs: timings.pingEveryMs,
			onOpen: on.onOpen,
			onFrame(frame) {
				const message = messageOf(frame);
				if (message !== undefined) on.onMessage(message);
			},
			onEnd(reason) {
				stream = undefined;
				on.onEnd(reason);
			},
		});
		stream = opened;
		return opened;
	}

	function again(reason: string): void {
		problem = reason;
		if (isClosed) return;
		// One attempt at a time, also when a stream fails in two ways.
		cancelRetry?.();
		const waitMs = backoffMs(Math.max(0, attempts - 1), timers.random(), {
			baseMs: timings.backoffBaseMs,
			maxMs: timings.backoffMaxMs,
		});
		const fields = { reason, waitMs: Math.round(waitMs) };
		// Whoever waits for a first certificate can do nothing else; the others do what they did.
		if (certificates.credentials() === undefined) log("warn", "not in the mesh yet; nothing goes in or out", fields);
		else log(attempts > 3 ? "debug" : "info", "no control plane; running on with what is known", fields);
		cancelRetry = timers.setTimer(() => void attempt(), waitMs);
	}

	function tellHealth(): void {
		if (health !== undefined && connectedSinceMs !== undefined) stream?.send({ kind: "health", instanceId, ...health });
	}

	function hello() {
		return { instanceId, workload, proxyVersion: options.proxyVersion, policyVersion: policy.goodVersion() };
	}
}

/** The control plane is who it says it is, yet it may be of another version: what is not as expected is left aside. */
function messageOf(frame: Frame): ControlMessage | undefined {
	switch (frame.kind) {
		case "policy":
			return isSnapshot(frame["snapshot"]) ? { kind: "policy", snapshot: frame["snapshot"] } : undefined;
		case "endpoints":
			return Array.isArray(frame["services"])
				? { kind: "endpoints", services: frame["services"] as ServiceEndpoints[], complete: frame["complete"] === true }
				: undefined;
		case "bundle":
		case "certificate":
		case "refused":
			return frame as unknown as ControlMessage;
		default:
			return undefined;
	}
}

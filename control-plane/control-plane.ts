/**
 * The control plane: policy in, snapshots out; certificates for whom a token vouches; who is in the mesh and where. Here its parts are
 * put together and its one timer runs; each part is its own module and knows none of the others' disks or clocks.
 */
import { randomBytes } from "node:crypto";
import type { ControlMessage } from "../model/mesh/control-protocol.ts";
import { encodeFrame } from "../model/mesh/frames.ts";
import { readMeshFiles } from "../model/mesh/mesh-files.ts";
import type { MeshFiles, PolicyFile, ReadPolicy } from "../model/mesh/mesh-files.ts";
import type { MeshStateSource } from "../model/mesh/mesh-state.ts";
import type { StateFolder } from "../model/mesh/state-folder.ts";
import { openAuthority } from "./ca/authority.ts";
import { bundleJwks } from "./ca/bundle.ts";
import { openGrants } from "./join/grants.ts";
import { clearExpiredTokens, createToken, DEFAULT_TOKEN_TTL_MS } from "./join/tokens.ts";
import { meshState } from "./mesh-state.ts";
import { openPolicyBook } from "./policy/policy-book.ts";
import { debounce } from "./registry/debounce.ts";
import { createProxyBook } from "./registry/proxies.ts";
import { createRegistry } from "./registry/registry.ts";
import { readMembers, writeMembers } from "./registry/members-file.ts";
import { ROTATION_REQUEST } from "./rotation-request.ts";
import { startStreamServer } from "./stream/server.ts";
import type { StreamTimeouts } from "./stream/server.ts";
import type { ProxySession, SessionLog } from "./stream/session.ts";

export interface ControlPlaneOptions {
	readonly listen: { readonly host: string; readonly port: number };
	readonly trustDomain: string;
	readonly state: StateFolder;
	/** The mesh's policy; read again at each change. */
	readonly meshFiles: MeshFiles;
	readonly readPolicy: (files: readonly PolicyFile[]) => ReadPolicy;
	readonly leafTtlMs: number;
	/** How long an instance whose stream ended stays, and how long a new root waits for proxies. */
	readonly lostGraceMs?: number;
	readonly rotationGraceMs?: number;
	readonly rootTtlMs?: number;
	readonly tickMs?: number;
	readonly timeouts?: Partial<StreamTimeouts>;
	/** Epoch ms. */
	readonly nowMs: () => number;
	readonly log: SessionLog;
}

export interface NewToken {
	readonly identity: string;
	readonly services?: readonly string[];
	readonly ttlMs?: number;
}

export interface ControlPlane extends MeshStateSource {
	/** `host:port` as bound. */
	readonly address: string;
	/** @throws MeshscopeError `invalid_argument` */
	createToken(request: NewToken): string;
	/** False while another root is on its way. */
	rotateRoot(): Promise<boolean>;
	close(): Promise<void>;
}

const MAX_LOGGED_FAULTS = 20;
const MAX_KEPT_FRAMES = 16;
const ENDPOINT_DEBOUNCE_MS = 50;
/**
 * A service of hundreds of instances that all start is told to hundreds of proxies each time: what is told then grows with the square,
 * so the wait grows with it (300 proxies of one service: 20 MB a time, hence once a second).
 */
const MAX_ENDPOINT_BYTES_PER_MS = 20_000;
/** Of what the mesh does without: which proxy runs which policy. */
const MEMBERS_DEBOUNCE_MS = 2_000;
/** Saving takes at most a tenth of the time, however large the mesh is. */
const SAVE_SHARE = 10;
const DEFAULT_LOST_GRACE_MS = 30_000;
/** After an outage of minutes a proxy waits for up to half a minute between two tries. */
const RETURN_GRACE_MS = 90_000;
const DEFAULT_ROTATION_GRACE_MS = 300_000;

/**
 * @throws MeshscopeError `state_unsafe` when the state cannot be used
 * @throws Error of the socket when the address cannot be bound
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
	const { state, trustDomain, nowMs, log } = options;
	const startedAtMs = nowMs();
	const authority = await openAuthority({
		...{ state, trustDomain, leafTtlMs: options.leafTtlMs, nowMs },
		rotationGraceMs: options.rotationGraceMs ?? DEFAULT_ROTATION_GRACE_MS,
		...(options.rootTtlMs === undefined ? {} : { rootTtlMs: options.rootTtlMs }),
	});
	const policy = openPolicyBook(state);
	const members = readMembers(state);
	const setTimer = (callback: () => void, ms: number): (() => void) => {
		const timer = setTimeout(callback, ms);
		return () => clearTimeout(timer);
	};
	const saving = debounce({
		waitMs: () => MEMBERS_DEBOUNCE_MS,
		onDue: saveMembers,
		setTimer,
	});
	/** By the last message to all streams. */
	let toldBytes = 0;
	let saveMs = 0;
	const telling = debounce({
		waitMs: () => Math.max(ENDPOINT_DEBOUNCE_MS, toldBytes / MAX_ENDPOINT_BYTES_PER_MS, saveMs * SAVE_SHARE),
		onDue(services) {
			// First on disk, then told: one that is killed must not come back and take from proxies what they know.
			saveMembers();
			const { length } = endpointsFrame(services);
			toldBytes = 0;
			forEachSession(({ outbox }) => {
				toldBytes += length;
				outbox.endpointsChanged(services);
			});
		},
		setTimer,
	});
	const proxies = createProxyBook(members.proxies, () => saving.add(["proxies"]));
	const registry = createRegistry({
		...{ known: members.instances, nowMs },
		lostGraceMs: options.lostGraceMs ?? DEFAULT_LOST_GRACE_MS,
		returnGraceMs: RETURN_GRACE_MS,
		onChange(services) {
			endpointFrames.clear();
			telling.add(services);
		},
	});
	let policyFrame: Uint8Array | undefined;
	/** By the services that they tell of: most streams are told the same, and encoding costs more than sending. */
	const endpointFrames = new Map<string, Uint8Array>();
	takePolicy();

	const server = await startStreamServer({
		listen: options.listen,
		authority,
		sources: {
			policyFrame: () => (policyFrame ??= encodePolicy()),
			bundleFrame: () => encodeFrame({ kind: "bundle", ...authority.bundle() } satisfies ControlMessage),
			endpointsFrame,
		},
		deps: { state, authority, grants: openGrants(state), registry, proxies, owners: new Map(), nowMs, log },
		...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
	});
	const endWatch = options.meshFiles.onChange(() => {
		if (takePolicy()) forEachSession(({ outbox }) => outbox.policyChanged());
	});
	let isTicking = false;
	const timer = setInterval(() => {
		if (isTicking) return;
		isTicking = true;
		tick()
			.catch((error: unknown) => log("warn", "the control plane could not do what was due", { reason: String(error) }))
			.finally(() => (isTicking = false));
	}, options.tickMs ?? 1_000);
	log("info", "control plane is up", { address: server.address, trustDomain, policyVersion: policy.current()?.version ?? "" });

	return {
		address: server.address,
		state: () => meshState({ address: server.address, startedAtMs, authority, registry, proxies, policy }),
		bundleJwks: () => bundleJwks(authority.bundle()),
		createToken: ({ identity, services = [], ttlMs = DEFAULT_TOKEN_TTL_MS }) =>
			createToken(state, {
				...{ identity, services, ttlMs, trustDomain, randomBytes },
				rootSha256: authority.pinSha256(),
				nowMs: nowMs(),
			}),
		rotateRoot,
		async close() {
			endWatch();
			clearInterval(timer);
			telling.close();
			saving.close();
			saveMembers();
			await server.close();
		},
	};

	function saveMembers(): void {
		const beganMs = performance.now();
		writeMembers(state, { instances: registry.instances(), proxies: proxies.all() });
		saveMs = performance.now() - beganMs;
	}

	function forEachSession(tell: (session: ProxySession) => void): void {
		for (const session of server.sessions()) tell(session);
	}

	/** True when there is a new version to tell. */
	function takePolicy(): boolean {
		const read = readMeshFiles(options.meshFiles, options.readPolicy);
		const outcome = policy.submit(read, nowMs());
		const version = policy.current()?.version ?? "";
		if (outcome === "rejected")
			for (const fault of read.faults.slice(0, MAX_LOGGED_FAULTS))
				log("warn", "the mesh's policy has a fault; the one before stays", { ...fault, version });
		if (outcome !== "accepted") return false;
		policyFrame = undefined;
		log("info", "the mesh's policy is accepted", { version, documents: read.documents.length });
		for (const warning of read.warnings.slice(0, MAX_LOGGED_FAULTS))
			log("warn", "the mesh's policy may not mean what it says", { ...warning });
		return true;
	}

	function encodePolicy(): Uint8Array | undefined {
		const snapshot = policy.current();
		return snapshot && encodeFrame({ kind: "policy", snapshot } satisfies ControlMessage);
	}

	function endpointsFrame(services: readonly string[] | undefined): Uint8Array {
		const key = services?.join() ?? "";
		const known = endpointFrames.get(key);
		if (known !== undefined) return known;
		const frame = encodeFrame({
			kind: "endpoints",
			services: (services ?? registry.services()).map(registry.endpoints),
			complete: services === undefined,
		} satisfies ControlMessage);
		if (endpointFrames.size >= MAX_KEPT_FRAMES) endpointFrames.clear();
		endpointFrames.set(key, frame);
		return frame;
	}

	async function rotateRoot(): Promise<boolean> {
		const rotated = await authority.rotate();
		if (rotated) bundleChanged();
		return rotated;
	}

	function bundleChanged(): void {
		server.certificatesChanged();
		const { sequence, rootsPem } = authority.bundle();
		log("info", "the trust bundle has changed", { sequence, roots: rootsPem.length });
		forEachSession(({ outbox }) => outbox.bundleChanged());
	}

	async function tick(): Promise<void> {
		registry.tick();
		for (const { instanceId } of proxies.all()) if (registry.instance(instanceId) === undefined) proxies.remove(instanceId);
		server.tick();
		clearExpiredTokens(state, nowMs());
		if (state.read(ROTATION_REQUEST) !== undefined) {
			state.remove(ROTATION_REQUEST);
			if (!(await rotateRoot())) log("warn", "a rotation is under way already; the request is dropped", {});
		}
		const { sequence } = authority.bundle();
		const { bundle, certificates } = await authority.tick(
			proxies.all().every(({ bundleSequence }) => bundleSequence >= sequence),
		);
		if (bundle) bundleChanged();
		else if (certificates) server.certificatesChanged();
	}
}

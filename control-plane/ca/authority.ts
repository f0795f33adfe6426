/**
 * The mesh's certificate authority: its roots on disk, the leaves it signs, the bundle it tells, and the certificates of the control
 * plane's own port. It decides nothing about who gets which identity.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { CONTROL_NAMESPACE, CONTROL_SERVICE_ACCOUNT } from "../../model/mesh/control-protocol.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import type { TrustBundle } from "./bundle.ts";
import { createRoot, issueLeaf, issueOwn, rootOf } from "./certificates.ts";
import type { KeyedCertificate, Leaf } from "./certificates.ts";
import { activeRoot, advance, introduce } from "./rotation.ts";
import type { RootStage, StagedRoot } from "./rotation.ts";

export interface AuthorityOptions {
	readonly state: StateFolder;
	readonly trustDomain: string;
	readonly leafTtlMs: number;
	/** How long a new root waits for proxies that do not acknowledge it. */
	readonly rotationGraceMs: number;
	/** Epoch ms. */
	readonly nowMs: () => number;
	/** Ten years unless a test says otherwise. */
	readonly rootTtlMs?: number;
}

export interface ServerCertificate extends KeyedCertificate, Leaf {
	readonly rootSha256: string;
	readonly rootPem: string;
}

export interface RootView {
	readonly sha256: string;
	readonly stage: RootStage;
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
	readonly dropAtMs: number | undefined;
}

export interface Authority {
	bundle(): TrustBundle;
	roots(): readonly RootView[];
	/** The root that a new token names. */
	pinSha256(): string;
	/** @param spki the holder's key, which a CSR has proved */
	issue(spki: Buffer, principal: string): Promise<Leaf & { readonly rootSha256: string }>;
	/** Of the control plane's own port, one a trusted root; replaced at half their life. */
	serverCertificates(): readonly ServerCertificate[];
	/** Brings a new root into the bundle. False while another one is still on its way. */
	rotate(): Promise<boolean>;
	/**
	 * Does what is due.
	 * @param allTrust every known proxy has acknowledged the bundle's sequence
	 * @returns what changed
	 */
	tick(allTrust: boolean): Promise<{ readonly bundle: boolean; readonly certificates: boolean }>;
}

const STATE_FILE = "authority.json";
const TEN_YEARS_MS = 3_652 * 86_400_000;

interface Stored {
	readonly trustDomain: string;
	readonly sequence: number;
	readonly roots: readonly (KeyedCertificate & Pick<StagedRoot, "stage" | "promoteByMs" | "dropAtMs">)[];
	/** The longest life that was given to a leaf since the active root began. */
	readonly longestLeafMs: number;
}

/** @throws MeshscopeError `state_unsafe` when the stored authority cannot be used */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
	const { state, trustDomain, leafTtlMs, nowMs } = options;
	const rootTtlMs = options.rootTtlMs ?? TEN_YEARS_MS;
	const stored = readStored(state, trustDomain);
	let roots: readonly StagedRoot[];
	let sequence = stored?.sequence ?? 1;
	let longestLeafMs = Math.max(leafTtlMs, stored?.longestLeafMs ?? 0);
	let own: readonly ServerCertificate[] = [];
	if (stored === undefined) roots = [{ ...(await createRoot(trustDomain, rootTtlMs, nowMs())), stage: "active" }];
	else roots = stored.roots.map(stagedOf);
	if (stored?.longestLeafMs !== longestLeafMs) save();
	await renewOwn();

	return {
		bundle: () => ({ trustDomain, sequence, rootsPem: roots.map(({ certPem }) => certPem) }),
		roots: () =>
			roots.map(({ sha256, stage, notBeforeMs, notAfterMs, dropAtMs }) => ({
				...{ sha256, stage, notBeforeMs, notAfterMs },
				dropAtMs,
			})),
		pinSha256: () => activeRoot(roots).sha256,
		async issue(spki, principal) {
			const root = activeRoot(roots);
			return { ...(await issueLeaf(root, spki, principal, leafTtlMs, nowMs())), rootSha256: root.sha256 };
		},
		serverCertificates: () => own,
		rotate,
		async tick(allTrust) {
			const before = roots;
			roots = advance(roots, { nowMs: nowMs(), allTrust, leafTtlMs: longestLeafMs + 1_000 });
			const dropped = roots.length !== before.length;
			if (roots !== before) {
				if (activeRoot(roots) !== activeRoot(before)) longestLeafMs = leafTtlMs;
				if (dropped) sequence++;
				save();
			}
			const { notBeforeMs, notAfterMs } = activeRoot(roots);
			const isOld = notAfterMs - nowMs() < (notAfterMs - notBeforeMs) / 10;
			const rotated = isOld && (await rotate());
			const certificates = await renewOwn();
			return { bundle: dropped || rotated, certificates };
		},
	};

	async function rotate(): Promise<boolean> {
		const next = await createRoot(trustDomain, rootTtlMs, nowMs());
		const introduced = introduce(roots, next, nowMs() + options.rotationGraceMs);
		if (introduced === roots) return false;
		roots = introduced;
		sequence++;
		save();
		await renewOwn();
		return true;
	}

	/** True when a certificate is new or gone. */
	async function renewOwn(): Promise<boolean> {
		const principal = `spiffe://${trustDomain}/ns/${CONTROL_NAMESPACE}/sa/${CONTROL_SERVICE_ACCOUNT}`;
		const renewed: ServerCertificate[] = [];
		for (const root of roots) {
			const current = own.find(({ rootSha256 }) => rootSha256 === root.sha256);
			if (current !== undefined && current.notAfterMs - nowMs() > leafTtlMs / 2) renewed.push(current);
			else
				renewed.push({
					...(await issueOwn(root, principal, leafTtlMs, nowMs())),
					rootSha256: root.sha256,
					rootPem: root.certPem,
				});
		}
		const changed = renewed.length !== own.length || renewed.some((one, index) => one !== own[index]);
		own = renewed;
		return changed;
	}

	function save(): void {
		const saved: Stored = {
			...{ trustDomain, sequence, longestLeafMs },
			roots: roots.map(({ certPem, keyPem, stage, promoteByMs, dropAtMs }) => ({
				...{ certPem, keyPem, stage },
				...(promoteByMs === undefined ? {} : { promoteByMs }),
				...(dropAtMs === undefined ? {} : { dropAtMs }),
			})),
		};
		state.write(STATE_FILE, JSON.stringify(saved));
	}
}

/** What a token has to name, for whoever makes one beside a running control plane. @throws MeshscopeError `state_unsafe` */
export function storedAuthority(state: StateFolder): { readonly trustDomain: string; readonly rootSha256: string } | undefined {
	const stored = readStored(state);
	if (stored === undefined) return undefined;
	return { trustDomain: stored.trustDomain, rootSha256: activeRoot(stored.roots.map(stagedOf)).sha256 };
}

function stagedOf(root: Stored["roots"][number]): StagedRoot {
	return { ...root, ...rootOf(root) };
}

/** @param trustDomain that it must have; undefined for any */
function readStored(state: StateFolder, trustDomain?: string): Stored | undefined {
	const text = state.read(STATE_FILE);
	if (text === undefined) return undefined;
	let stored: Stored;
	try {
		stored = JSON.parse(text) as Stored;
		activeRoot(stored.roots.map(stagedOf));
	} catch (error) {
		throw new MeshscopeError(
			"state_unsafe",
			`${STATE_FILE} of the control plane's state cannot be read; restore it from a backup, or remove it and join all proxies anew`,
			{ cause: error },
		);
	}
	if (trustDomain === undefined || stored.trustDomain === trustDomain) return stored;
	throw new MeshscopeError(
		"state_unsafe",
		`the control plane's state is of trust domain ${stored.trustDomain}, not ${trustDomain}; choose another state directory or trust domain`,
	);
}

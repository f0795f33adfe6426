/**
 * A workload's identity from files (`--mtls-cert`, `--mtls-key`, `--mtls-ca`), for meshes whose certificates somebody else issues:
 * SPIRE's helper, cert-manager, a script.
 *
 * The three files cannot be replaced at one instant. They are adopted only as a set that fits: the key belongs to the leaf, the leaf is an
 * identity within its validity and verifies against the roots. Until then the set before it stays.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { formatSpiffeId, parseSpiffeId } from "../../model/mesh/spiffe-id.ts";
import { readCertificate } from "./certificate.ts";
import type { Identity, IdentitySource } from "./identity-source.ts";
import { createMemoryIdentity } from "./memory-identity.ts";
import { checkPeer } from "./peer-check.ts";
import { filesVersion, readPemFile, splitCertificates } from "./pem-files.ts";

export interface FileIdentityOptions {
	readonly certificateFile: string;
	readonly keyFile: string;
	readonly rootsFile: string;
	/** Epoch ms. */
	readonly nowMs: () => number;
	/** How often the files are looked at; 1 s unless given. */
	readonly pollMs?: number;
	/** A set of files that does not fit, once for each; the identity before it stays in force. */
	readonly onFault: (error: Error) => void;
}

export interface FileIdentity extends IdentitySource {
	close(): void;
}

const POLL_MS = 1_000;

/** Throws an Error that names the flag where the files at start are no identity. */
export function openFileIdentity(options: FileIdentityOptions): FileIdentity {
	const paths = [options.certificateFile, options.keyFile, options.rootsFile];
	let version = filesVersion(paths);
	const source = createMemoryIdentity(readIdentity(options));
	let fault = "";
	const timer = setInterval(() => {
		const found = filesVersion(paths);
		// A set that did not fit may be half of a replacement: it is read again until it does.
		if (found === version && fault === "") return;
		version = found;
		try {
			const next = readIdentity(options);
			fault = "";
			if (!isSame(next, source.current())) source.set(next);
		} catch (error) {
			const message = String(error);
			if (message !== fault) options.onFault(error instanceof Error ? error : new Error(message));
			fault = message;
		}
	}, options.pollMs ?? POLL_MS);
	timer.unref();
	return {
		current: () => source.current(),
		onChange: (listener) => source.onChange(listener),
		close: () => clearInterval(timer),
	};
}

function readIdentity(options: FileIdentityOptions): Identity {
	const chain = splitCertificates(readPemFile(options.certificateFile, "--mtls-cert"));
	const keyPem = readPemFile(options.keyFile, "--mtls-key");
	const rootsPem = splitCertificates(readPemFile(options.rootsFile, "--mtls-ca"));
	if (chain.length === 0) throw new Error(`--mtls-cert: ${options.certificateFile} holds no certificate`);
	if (rootsPem.length === 0) throw new Error(`--mtls-ca: ${options.rootsFile} holds no certificate`);
	const certificates = chain.map((pem) => parse(pem, `--mtls-cert: ${options.certificateFile}`));
	const roots = rootsPem.map((pem) => parse(pem, `--mtls-ca: ${options.rootsFile}`));
	const leaf = certificates[0]!;
	const facts = readCertificate(leaf.raw);
	const id = parseSpiffeId(facts.uris[0] ?? "");
	if (id === undefined) {
		throw new Error(
			`--mtls-cert: ${options.certificateFile} names ${facts.uris[0] ?? "no URI"}; ` +
				"it needs one URI SAN spiffe://<trust domain>/ns/<namespace>/sa/<service account>",
		);
	}
	try {
		checkPeer(facts, { trustDomain: id.trustDomain, expected: [], nowMs: options.nowMs() });
	} catch (error) {
		throw new Error(`--mtls-cert: ${options.certificateFile}: ${error instanceof Error ? error.message : String(error)}`, {
			cause: error,
		});
	}
	if (!leaf.checkPrivateKey(readKey(keyPem, options.keyFile))) {
		throw new Error(`--mtls-key: ${options.keyFile} is not the key of the certificate in ${options.certificateFile}`);
	}
	if (!reachesRoot(certificates, roots)) {
		throw new Error(
			`--mtls-ca: ${options.rootsFile} has no authority of the certificate in ${options.certificateFile}; ` +
				"add it, and keep the old one beside it while roots are rotated",
		);
	}
	return {
		principal: formatSpiffeId(id),
		chainPem: chain.join(""),
		keyPem,
		rootsPem,
		notBeforeMs: facts.notBeforeMs,
		notAfterMs: facts.notAfterMs,
	};
}

function parse(pem: string, where: string): X509Certificate {
	try {
		return new X509Certificate(pem);
	} catch (error) {
		throw new Error(`${where} holds a certificate that cannot be read`, { cause: error });
	}
}

function readKey(pem: string, file: string): ReturnType<typeof createPrivateKey> {
	try {
		return createPrivateKey(pem);
	} catch (error) {
		throw new Error(`--mtls-key: ${file} holds no private key without a passphrase`, { cause: error });
	}
}

/** Each certificate is issued by the next, the last by a root. Enough to tell files that do not belong together. */
function reachesRoot(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
	for (const [i, certificate] of chain.entries()) {
		if (roots.some((root) => issued(root, certificate))) return true;
		const next = chain[i + 1];
		if (next === undefined || !issued(next, certificate)) return false;
	}
	return false;
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
	return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isSame(a: Identity, b: Identity | undefined): boolean {
	return b !== undefined && a.chainPem === b.chainPem && a.keyPem === b.keyPem && a.rootsPem.join("") === b.rootsPem.join("");
}

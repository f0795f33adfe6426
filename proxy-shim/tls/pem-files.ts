/**
 * PEM files that others replace: Kubernetes swaps a symlink, cert-manager and scripts rename or rewrite. Files are told apart by what
 * stat says, which works for all of these and over network file systems, where notifications do not.
 */
import { readFileSync, statSync } from "node:fs";

/** A certificate chain and its roots are a few KiB. */
const MAX_FILE_BYTES = 1 << 20;

/** Equal as long as no file was replaced or rewritten; a missing file has a word of its own. */
export function filesVersion(paths: readonly string[]): string {
	return paths
		.map((path) => {
			const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
			return stat === undefined ? "absent" : `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
		})
		.join(",");
}

/** Throws an Error that names the file and the setting it stands in. */
export function readPemFile(path: string, setting: string): string {
	let text: string;
	try {
		const { size } = statSync(path);
		if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, more than ${MAX_FILE_BYTES}`);
		text = readFileSync(path, "utf8");
	} catch (error) {
		throw new Error(`${setting}: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
			cause: error,
		});
	}
	if (!text.includes("-----BEGIN ")) throw new Error(`${setting}: ${path} holds no PEM; convert it with openssl`);
	return text;
}

/** Certificates of a bundle, one string each; other kinds of PEM block are passed over. */
export function splitCertificates(pem: string): string[] {
	return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)?.map((block) => `${block}\n`) ?? [];
}

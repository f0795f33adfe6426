/**
 * Servers that Debian packages, for the tests and benchmarks that need one as a peer: nginx and Caddy. The package is downloaded and
 * unpacked into the cache, not installed, so the machine stays as it was.
 */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { cachedFolder, commandWorks, runCommand } from "./cache.ts";

const PROGRAMS = { nginx: "usr/sbin/nginx", caddy: "usr/bin/caddy" } as const;

/**
 * Path of the program, of whatever version the machine's Debian release has.
 *
 * @throws where there is no apt, or the package cannot be had
 */
export async function fetchDebianProgram(name: keyof typeof PROGRAMS): Promise<string> {
	const folder = await cachedFolder(`debian-${name}`, async (draft) => {
		if (!(await commandWorks("apt-get", ["--version"]))) throw new Error(`no apt-get on this machine to fetch ${name} with`);
		await download(name, draft).catch(async () => {
			// A machine that was just made has no list of packages yet.
			await runCommand("apt-get", ["update"]);
			await download(name, draft);
		});
		const archive = (await readdir(draft)).find((file) => file.endsWith(".deb"));
		if (archive === undefined) throw new Error(`apt-get downloaded nothing for ${name}`);
		await runCommand("dpkg-deb", ["-x", path.join(draft, archive), draft]);
	});
	return path.join(folder, PROGRAMS[name]);
}

async function download(name: string, folder: string): Promise<void> {
	// apt-get downloads into the current directory.
	await runCommand("sh", ["-c", 'cd "$1" && apt-get download "$2"', "sh", folder, name]);
}

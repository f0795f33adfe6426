/**
 * The cache of foreign senders that the tests run: `.cache/` in the checkout, ignored by git.
 *
 * An entry is a folder named after what is in it and its version. It is filled in a temporary folder beside it and renamed into
 * place, so that a run that is stopped half-way leaves nothing that looks finished, and two runs at once do no harm.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

const CACHE_ROOT = path.resolve(import.meta.dirname, "../../../.cache");

/** Fetching 100 MB on a slow line must still end before the test's own limit. */
const COMMAND_TIMEOUT_MS = 300_000;

/** The folder of the entry `name`, filled first when it is not there. */
export async function cachedFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
	const folder = path.join(CACHE_ROOT, name);
	if (existsSync(folder)) return folder;
	await mkdir(CACHE_ROOT, { recursive: true });
	const draft = await mkdtemp(path.join(CACHE_ROOT, `.${name}-`));
	try {
		await fill(draft);
		await rename(draft, folder);
	} catch (error) {
		await rm(draft, { recursive: true, force: true });
		// Another run was faster: its folder is as good as ours.
		if (existsSync(folder)) return folder;
		throw error;
	}
	return folder;
}

/** Standard output of a command; a failure names the command and shows the end of what it said. */
export async function runCommand(
	command: string,
	args: readonly string[],
	env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string> {
	try {
		const { stdout } = await execFileAsync(command, args, { env, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 64 << 20 });
		return stdout;
	} catch (error) {
		const said =
			error instanceof Error && "stderr" in error
				? String(error.stderr).trim().split("\n").slice(-8).join("\n")
				: String(error);
		throw new Error(`\`${command} ${args.join(" ")}\` failed:\n${said}`, { cause: error });
	}
}

/** True when the command can be started and succeeds. */
export async function commandWorks(command: string, args: readonly string[]): Promise<boolean> {
	return execFileAsync(command, args, { timeout: 30_000 }).then(
		() => true,
		() => false,
	);
}

/**
 * Why a test cannot have what it needs, for its `skip`; false when it can. Under CI a missing piece is a failure: the fault is thrown.
 */
export async function skipUnless(fetch: () => Promise<unknown>): Promise<string | false> {
	try {
		await fetch();
		return false;
	} catch (error) {
		if (process.env["CI"] === "true") throw error;
		return error instanceof Error ? error.message : String(error);
	}
}

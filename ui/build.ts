/**
 * Builds the UI when its sources are newer than what lies in `ui/dist`, so that `npm start` from a fresh clone shows a page.
 *
 * Freshness is a hash over the sources and the lock file, kept as a stamp inside the build: times lie after a checkout or a copy.
 * An unchanged UI costs the reading of some fifty small files; the bundler runs in a process of its own (ui/bundle.ts).
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify, stripVTControlCharacters } from "node:util";

const STAMP = ".stamp";
const BUNDLER = fileURLToPath(new URL("bundle.ts", import.meta.url));
const MAX_OUTPUT_BYTES = 4 << 20;
const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));
/** What the bundle is made of, besides the packages that the lock file pins. */
const SOURCES: readonly string[] = ["ui", "model", "api/contract"];

export interface BuildUiOptions {
	/** Builds even when the stamp fits. */
	readonly force?: boolean;
	/** Told what is going on, one sentence a step. */
	readonly log?: (message: string) => void;
}

/**
 * Returns the directory to serve.
 * @throws Error when the sources do not build; the message is the bundler's
 */
export async function buildUiIfStale(options: BuildUiOptions = {}): Promise<string> {
	const dist = join(REPOSITORY, "ui", "dist");
	const stamp = await hashOfSources();
	if (options.force !== true && (await readStamp(dist)) === stamp) return dist;

	options.log?.("building the UI");
	const startedMs = performance.now();
	// Built aside and swapped in, so that a failed build leaves the old page and a reader never meets half of a new one.
	const aside = join(REPOSITORY, "ui", ".cache", `build-${process.pid}`);
	try {
		await bundle(aside);
		await writeFile(join(aside, STAMP), stamp);
		// Another process may have built the same meanwhile, and may be serving it.
		if (options.force !== true && (await readStamp(dist)) === stamp) return dist;
		await rm(dist, { recursive: true, force: true });
		await rename(aside, dist).catch(async (error: unknown) => {
			// Another process swapped in the same build between our two calls.
			if ((await readStamp(dist)) !== stamp) throw error;
		});
	} finally {
		await rm(aside, { recursive: true, force: true });
	}
	options.log?.(`built the UI in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
	return dist;
}

async function bundle(outDir: string): Promise<void> {
	try {
		await promisify(execFile)(process.execPath, [BUNDLER, outDir], {
			env: { ...process.env, NO_COLOR: "1" },
			maxBuffer: MAX_OUTPUT_BYTES,
		});
	} catch (error) {
		const { stderr = "" } = error as { readonly stderr?: string };
		// It colours its words even where nobody sees colours.
		const said = stripVTControlCharacters(stderr).trim();
		throw new Error(said === "" ? String(error) : said, { cause: error });
	}
}

async function readStamp(dist: string): Promise<string | undefined> {
	try {
		return await readFile(join(dist, STAMP), "utf8");
	} catch {
		return undefined;
	}
}

/** Hash over the name and the content of every source file. */
async function hashOfSources(): Promise<string> {
	const files = (await Promise.all(SOURCES.map((source) => sourceFiles(source)))).flat().sort();
	const hash = createHash("sha256");
	for (const file of [...files, "package-lock.json"]) {
		const content = await readFile(join(REPOSITORY, file));
		hash.update(`${file}\0${content.length}\0`).update(content);
	}
	return hash.digest("hex");
}

async function sourceFiles(directory: string): Promise<string[]> {
	const entries = await readdir(join(REPOSITORY, directory), { recursive: true, withFileTypes: true });
	return entries
		.filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
		.map((entry) => join(entry.parentPath, entry.name).slice(REPOSITORY.length).split(sep).join("/"))
		.filter((file) => !/^ui\/(dist|\.cache)\//.test(file));
}

/** A disk small enough to be filled in a test: a tmpfs, which takes root. */
import { execFile } from "node:child_process";
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

export interface SmallDisk extends AsyncDisposable {
	readonly path: string;
	freeBytes(): Promise<number>;
	/** Takes up room until only this much is left. */
	fillExcept(bytes: number): Promise<void>;
	/** Gives back what `fillExcept` took. */
	makeRoom(): Promise<void>;
}

/** Undefined where this process may not mount. */
export async function mountSmallDisk(parent: string, bytes: number): Promise<SmallDisk | undefined> {
	const folder = path.join(parent, "small-disk");
	await mkdir(folder);
	try {
		await execFileAsync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", folder]);
	} catch {
		return undefined;
	}
	const ballast = path.join(folder, "ballast");
	const freeBytes = async () => {
		const { bavail, bsize } = await statfs(folder);
		return bavail * bsize;
	};
	return {
		path: folder,
		freeBytes,
		async fillExcept(left) {
			const taken = Buffer.alloc(Math.max(0, (await freeBytes()) - left), 0x42);
			await writeFile(ballast, taken).catch((error: NodeJS.ErrnoException) => {
				// The server may have taken that room meanwhile; then the disk is as full as it can be.
				if (error.code !== "ENOSPC") throw error;
			});
		},
		makeRoom: () => rm(ballast, { force: true }),
		async [Symbol.asyncDispose]() {
			await execFileAsync("umount", ["--lazy", folder]);
		},
	};
}

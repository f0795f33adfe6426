/**
 * Room on the disk: removing windows, and a reserve that is given back when the disk is full, so that a removal can be written down.
 */
import { closeSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { windowPath } from "./window-set.ts";

const RESERVE_BYTES = 4 << 20;

/** Unlinks a window: deleting rows needs room on a full disk, unlinking does not. Readers that have it open go on reading. */
export function removeWindowFiles(directory: string, name: string): void {
	const path = windowPath(directory, name);
	for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
}

export function freeBytes(directory: string): number {
	const { bavail, bsize } = statfsSync(directory);
	return bavail * bsize;
}

export class ReserveFile {
	private readonly path: string;
	private readonly directory: string;

	constructor(directory: string) {
		this.directory = directory;
		this.path = join(directory, "reserve.bin");
	}

	/** Takes the reserve (again) when there is room for several; real blocks, not a hole. */
	fill(): void {
		if (statSync(this.path, { throwIfNoEntry: false })?.size === RESERVE_BYTES) return;
		if (freeBytes(this.directory) < RESERVE_BYTES * 4) return;
		const file = openSync(this.path, "w");
		try {
			const zeros = new Uint8Array(1 << 20);
			for (let at = 0; at < RESERVE_BYTES; at += zeros.length) writeSync(file, zeros, 0, zeros.length, at);
			fsyncSync(file);
		} finally {
			closeSync(file);
		}
	}

	release(): void {
		rmSync(this.path, { force: true });
	}
}

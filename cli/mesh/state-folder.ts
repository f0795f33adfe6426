/**
 * The state of a control plane or a proxy as a folder on disk: files for their owner alone, each written whole or not at all. A file that
 * others may read or write is refused, since keys lie here and what others may write nobody can go by.
 */
import {
	chmodSync,
	closeSync,
	fsyncSync,
	fstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeSync,
} from "node:fs";
import { join } from "node:path";
import { MeshscopeError } from "../../model/errors.ts";
import { isStateName } from "../../model/mesh/state-folder.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";

const OTHERS_ANY = 0o077;
const OTHERS_WRITE = 0o022;
/** Windows has no such rights; the folder's are inherited there. */
const hasModes = process.platform !== "win32";

/** @throws MeshscopeError `state_unsafe` when the folder cannot be made, or others may write into it */
export function openStateFolder(directory: string): StateFolder {
	try {
		mkdirSync(directory, { recursive: true, mode: 0o700 });
	} catch (error) {
		throw unsafe(`${directory} cannot be made (${reasonOf(error)})`, error);
	}
	if (hasModes && (statSync(directory).mode & OTHERS_WRITE) !== 0)
		throw unsafe(`others may write into ${directory}, where keys are kept; run: chmod 700 ${directory}`);
	const pathOf = (name: string): string => {
		if (!isStateName(name)) throw unsafe(`${JSON.stringify(name.slice(0, 80))} is no name of a state file`);
		return join(directory, name);
	};
	return {
		read: (name) => readOwnFile(pathOf(name)),
		write: (name, text) => writeWhole(directory, pathOf(name), text),
		remove: (name) => rmSync(pathOf(name), { force: true }),
		list: () => readdirSync(directory).filter(isStateName),
	};
}

function readOwnFile(path: string): string | undefined {
	let file: number;
	try {
		file = openSync(path, "r");
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
		throw unsafe(`${path} cannot be read (${reasonOf(error)})`, error);
	}
	try {
		const { mode } = fstatSync(file);
		if (hasModes && (mode & OTHERS_ANY) !== 0) {
			const octal = (mode & 0o777).toString(8).padStart(4, "0");
			throw unsafe(`${path} has mode ${octal}, so others than its owner can use it; run: chmod 600 ${path}`);
		}
		return readFileSync(file, "utf8");
	} finally {
		closeSync(file);
	}
}

function writeWhole(directory: string, path: string, text: string): void {
	// A name that the folder does not list; one process at a time writes a file.
	const passing = `${path}.${process.pid}~`;
	const file = openSync(passing, "w", 0o600);
	try {
		writeSync(file, text);
		fsyncSync(file);
	} finally {
		closeSync(file);
	}
	// The mode above counts only for a file that was not there.
	if (hasModes) chmodSync(passing, 0o600);
	renameSync(passing, path);
	if (!hasModes) return;
	const folder = openSync(directory, "r");
	try {
		fsyncSync(folder);
	} finally {
		closeSync(folder);
	}
}

function unsafe(message: string, cause?: unknown): MeshscopeError {
	return new MeshscopeError("state_unsafe", message, cause === undefined ? {} : { cause });
}

function reasonOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

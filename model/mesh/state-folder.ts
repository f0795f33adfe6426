/**
 * What control plane and proxy keep across restarts: a folder of small files. Given to both by whoever starts them, so that neither
 * knows of a disk and tests keep it in memory.
 */
import { MeshscopeError } from "../errors.ts";

export interface StateFolder {
	/**
	 * Undefined where there is no such file.
	 * @throws MeshscopeError `state_unsafe` when others than its owner may read or write it
	 */
	read(name: string): string | undefined;
	/** Whole or not at all, for the owner alone; it is on the disk when this returns. */
	write(name: string, text: string): void;
	remove(name: string): void;
	/** Names of the files, in no order. */
	list(): readonly string[];
}

/** One plain file name: what a peer says never leaves the folder. */
const STATE_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,118}[a-z0-9])?$/;

export function isStateName(name: string): boolean {
	return STATE_NAME.test(name) && !name.includes("..");
}

/**
 * A file as JSON.
 * @throws MeshscopeError `state_unsafe` when it is none: what is kept here is never replaced by a guess
 */
export function readStateJson(folder: StateFolder, name: string): unknown {
	const text = folder.read(name);
	if (text === undefined) return undefined;
	try {
		return JSON.parse(text) as unknown;
	} catch (error) {
		throw new MeshscopeError("state_unsafe", `${name} of the state is damaged; restore it from a backup or remove it`, {
			cause: error,
		});
	}
}

export function memoryStateFolder(): StateFolder {
	const files = new Map<string, string>();
	return {
		read: (name) => files.get(name),
		write: (name, text) => void files.set(name, text),
		remove: (name) => void files.delete(name),
		list: () => [...files.keys()],
	};
}

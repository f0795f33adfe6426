/**
 * mesh.yaml on disk, watched: one file, or a directory of them. Editors and deployments write in many ways (in place, by a swap file and
 * a rename, by exchanging a link), so an event only means "look again", and a change is what differs when looked at.
 */
import { readdirSync, readFileSync, statSync, watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { MeshFiles, PolicyFile } from "../../model/mesh/mesh-files.ts";

export interface WatchedMeshFiles extends MeshFiles {
	close(): void;
}

const DEBOUNCE_MS = 100;
/**
 * A file that is gone may be on its way back: some editors move the old one away first. One that is empty may be about to be written,
 * and taken as it is would be a mesh without any policy.
 */
const GONE_MS = 500;
/** For file systems that tell of no changes. */
const LOOK_EVERY_MS = 3_000;
const MESH_FILE = /^[^.].*\.ya?ml$/;

/** @param path a file, or a directory whose `*.yaml` and `*.yml` are read */
export function watchMeshFiles(path: string, goneMs = GONE_MS): WatchedMeshFiles {
	const listeners = new Set<() => void>();
	let seen = lookAt(path);
	let timer: NodeJS.Timeout | undefined;
	const watchers: FSWatcher[] = [];
	for (const directory of new Set([isDirectory(path) ? path : dirname(path)])) {
		try {
			watchers.push(watch(directory, { persistent: false }, () => arm(DEBOUNCE_MS)).on("error", () => undefined));
		} catch {
			// It is looked at every few seconds all the same.
		}
	}
	const looking = setInterval(() => arm(0), LOOK_EVERY_MS).unref();

	return {
		read: () => readFiles(path),
		onChange(listener) {
			listeners.add(listener);
			return () => void listeners.delete(listener);
		},
		close() {
			listeners.clear();
			clearTimeout(timer);
			clearInterval(looking);
			for (const watcher of watchers) watcher.close();
		},
	};

	function arm(ms: number, isSecondLook = false): void {
		// A look that is due is not put off by the next one of the clock.
		if (ms === 0 && timer !== undefined) return;
		clearTimeout(timer);
		timer = setTimeout(() => {
			timer = undefined;
			const now = lookAt(path);
			if (now === seen) return;
			if (!isSecondLook && (now === undefined || hasEmptyFile(path))) {
				arm(goneMs, true);
				return;
			}
			seen = now;
			for (const listener of listeners) listener();
		}, ms);
	}
}

/** What is there, in a form to compare; undefined when it cannot be read. */
function lookAt(path: string): string | undefined {
	try {
		return JSON.stringify(readFiles(path));
	} catch {
		return undefined;
	}
}

function hasEmptyFile(path: string): boolean {
	try {
		return readFiles(path).some(({ text }) => text === "");
	} catch {
		return true;
	}
}

function readFiles(path: string): readonly PolicyFile[] {
	if (!isDirectory(path)) return [{ name: basename(path), text: readFileSync(path, "utf8") }];
	return readdirSync(path)
		.filter((name) => MESH_FILE.test(name))
		.toSorted()
		.map((name) => ({ name, text: readFileSync(join(path, name), "utf8") }));
}

function isDirectory(path: string): boolean {
	try {
		return statSync(path).isDirectory();
	} catch {
		return false;
	}
}

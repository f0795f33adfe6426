/** Where mesh.yaml comes from, for control plane and proxy alike: a file, a directory of files, a test. */
import type { PolicyFault, PolicySnapshot } from "./control-protocol.ts";

export interface PolicyFile {
	readonly name: string;
	readonly text: string;
}

export interface MeshFiles {
	/** In order of their names. @throws Error when they cannot be read */
	read(): readonly PolicyFile[];
	/** Called some time after each change; the returned function ends it. */
	onChange(listener: () => void): () => void;
}

/** What reading mesh files comes to: documents to use, or what is wrong with them. */
export interface ReadPolicy {
	/** With faults none of them may be used. */
	readonly documents: PolicySnapshot["documents"];
	readonly faults: readonly PolicyFault[];
	/** Said once, and no reason to refuse anything. */
	readonly warnings: readonly PolicyFault[];
}

/** {@link MeshFiles.read}, with a file that cannot be read as a fault like any other. */
export function readMeshFiles(files: MeshFiles, readPolicy: (files: readonly PolicyFile[]) => ReadPolicy): ReadPolicy {
	try {
		return readPolicy(files.read());
	} catch (error) {
		const message = `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
		return { documents: [], faults: [{ file: "", line: 0, column: 0, path: "", message }], warnings: [] };
	}
}

/** Mesh files as one policy: each is read by itself, and what holds between documents is checked over all of them. */
import type { PolicyFile, ReadPolicy } from "../../model/mesh/mesh-files.ts";
import { readMeshFile } from "../../model/mesh/policy/mesh-file.ts";
import { readPolicies } from "../../model/mesh/policy/policies.ts";

export function readPolicy(files: readonly PolicyFile[]): ReadPolicy {
	const read = files.map(({ name, text }) => readMeshFile(text, name));
	const documents = read.flatMap((file) => file.documents);
	// A single file has been read whole already.
	const together = read.length === 1 ? [] : [readPolicies(documents)];
	return {
		documents,
		faults: distinct([...read, ...together].flatMap(({ faults }) => faults)),
		warnings: distinct([...read, ...together].flatMap(({ warnings }) => warnings)),
	};
}

function distinct<T>(findings: readonly T[]): readonly T[] {
	return [...new Map(findings.map((one) => [JSON.stringify(one), one])).values()];
}

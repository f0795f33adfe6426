/**
 * For tests: a mesh.yaml whose comments tell what is wrong with it. `#! path: message` stands on the line where the fault must be
 * reported, `#? path: message` where a warning must be; the path is the one below the document's `spec`.
 */
import assert from "node:assert/strict";
import { readMeshFile } from "../../model/mesh/policy/mesh-file.ts";

/** The file has the marked faults and warnings, in the marked lines, and no others. */
export function assertMarked(text: string): void {
	const file = readMeshFile(text, "mesh.yaml");
	const told = (list: readonly { line: number; path: string; message: string }[]): readonly string[] =>
		list.map(({ line, path, message }) => `${line} ${path.replace(/^.*?: (?:spec\.?)?/, "")}: ${message}`).toSorted();
	const marked = (mark: string): readonly string[] =>
		text
			.split("\n")
			.flatMap((line, index) =>
				line
					.split(mark)
					.slice(1)
					.map((one) => `${index + 1} ${one.replace(/ #[!?].*$/, "").trim()}`),
			)
			.toSorted();
	assert.deepEqual(told(file.faults), marked("#!"), "faults");
	assert.deepEqual(told(file.warnings), marked("#?"), "warnings");
}

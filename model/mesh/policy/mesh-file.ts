/**
 * A mesh.yaml as documents: YAML, with the place of every field, and everything that is wrong with it in one go.
 *
 * YAML is read by the `yaml` package; what it gives is turned into plain values here, so that aliases cost what they expand to, and the
 * expansion is bounded.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, type Pair } from "yaml";
import type { PolicyFault } from "../control-protocol.ts";
import { formatPath, type Path } from "./place.ts";
import { MAX_FINDINGS, readPolicies } from "./policies.ts";
import type { Findings, Locate, MeshDocument } from "./policy-set.ts";

/** Some 10,000 VirtualServices, and about 10 s of reading on one core. */
const MAX_FILE_CHARS = 2 << 20;
/** Far more than a file of that size has of its own; aliases count for what they stand for. */
const MAX_VALUES = 300_000;
/** Of collections inside each other; Istio's kinds need a dozen. */
const MAX_DEPTH = 64;

export interface MeshFile extends Findings {
	/** All of them, faulty ones included: with faults none of them may be used. */
	readonly documents: readonly MeshDocument[];
}

/** Never throws. `fileName` is only for telling. */
export function readMeshFile(text: string, fileName: string): MeshFile {
	const whole = (message: string): MeshFile => ({
		documents: [],
		faults: [{ file: fileName, line: 0, column: 0, path: "", message }],
		warnings: [],
	});
	if (text.length > MAX_FILE_CHARS) return whole(`is longer than ${MAX_FILE_CHARS >> 20} Mi characters`);
	const lines = new LineCounter();
	const faults: PolicyFault[] = [];
	const documents: MeshDocument[] = [];
	try {
		// Unique keys are checked below: the package compares every key with every other.
		const parsed = parseAllDocuments(text, {
			lineCounter: lines,
			prettyErrors: false,
			uniqueKeys: false,
			logLevel: "silent",
			schema: "core",
			version: "1.2",
			resolveKnownTags: false,
		});
		for (const document of Array.isArray(parsed) ? parsed : []) {
			for (const problem of [...document.errors, ...document.warnings])
				if (faults.length < MAX_FINDINGS) faults.push(at(problem.pos[0], "", problem.message));
			if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) continue;
			documents.push(toMeshDocument(document));
		}
	} catch (error) {
		return whole(`is no YAML that can be read: ${error instanceof Error ? error.message : String(error)}`);
	}
	if (faults.length > 0) return { documents, faults, warnings: [] };
	const { faults: found, warnings } = readPolicies(documents);
	return { documents, faults: inOrder(found), warnings: inOrder(warnings) };

	function at(offset: number, path: string, message: string): PolicyFault {
		const { line, col } = lines.linePos(offset);
		return { file: fileName, line, column: col, path, message };
	}

	function toMeshDocument(document: Document.Parsed): MeshDocument {
		const anchors = new Map<string, Node>();
		let values = 0;
		const value = toValue(document.contents, [], 0);
		const start = document.contents?.range?.[0] ?? document.range[0];
		const locate: Locate = (path) => {
			const { line, col } = lines.linePos(offsetOf(document.contents, path, anchors) ?? start);
			return { line, column: col };
		};
		return { line: lines.linePos(start).line, file: fileName, value, locate };

		function toValue(node: unknown, path: Path, depth: number): unknown {
			if (node === null || node === undefined) return null;
			if (++values > MAX_VALUES) {
				if (values === MAX_VALUES + 1)
					refuse(node, path, `has more than ${MAX_VALUES} values, aliases counted for what they stand for`);
				return null;
			}
			if (depth > MAX_DEPTH) return refuse(node, path, `is nested deeper than ${MAX_DEPTH} levels`);
			if (isAlias(node)) {
				const target = anchors.get(node.source);
				// An anchor counts from its end on: an alias inside its own value would have none.
				return target === undefined
					? refuse(node, path, `alias *${node.source} has no anchor before it`)
					: toValue(target, path, depth + 1);
			}
			const result = isMap(node)
				? toObject(node.items, path, depth)
				: isSeq(node)
					? node.items.map((item, index) => toValue(item, [...path, index], depth + 1))
					: isScalar(node)
						? node.value
						: null;
			if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
			return result;
		}

		function toObject(pairs: readonly Pair[], path: Path, depth: number): unknown {
			const entries: [string, unknown][] = [];
			const seen = new Set<string>();
			for (const pair of pairs) {
				const key = isScalar(pair.key) && pair.key.value !== null ? String(pair.key.value) : undefined;
				if (key === undefined) {
					refuse(pair.key ?? pair.value, path, "has a key that is no text");
					continue;
				}
				if (seen.has(key)) refuse(pair.key, [...path, key], "is there already");
				seen.add(key);
				entries.push([key, toValue(pair.value, [...path, key], depth + 1)]);
			}
			// Defines every key as the object's own, __proto__ too.
			return Object.fromEntries(entries);
		}

		function refuse(node: unknown, path: Path, message: string): null {
			const offset =
				(isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined) ??
				document.range[0];
			if (faults.length < MAX_FINDINGS) faults.push(at(offset, formatPath(path), message));
			return null;
		}
	}
}

/** Where the key or item stands, or the last one on the way that is there. */
function offsetOf(root: Node | null, path: Path, anchors: ReadonlyMap<string, Node>): number | undefined {
	let node: unknown = root;
	let offset = root?.range?.[0];
	for (const key of path) {
		if (isAlias(node)) node = anchors.get(node.source);
		let found: unknown;
		if (isMap(node)) {
			const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
			if (pair === undefined) return offset;
			offset = (isScalar(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
			found = pair.value;
		} else if (isSeq(node) && typeof key === "number") {
			found = node.items[key];
			if (found === undefined) return offset;
			offset = (isMap(found) || isSeq(found) || isScalar(found) || isAlias(found) ? found.range?.[0] : undefined) ?? offset;
		} else return offset;
		node = found;
	}
	return offset;
}

function inOrder(found: readonly PolicyFault[]): readonly PolicyFault[] {
	return found.toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/**
 * Policy for a proxy without a control plane: a mesh.yaml beside it, watched by whoever hands it over. A file with faults changes
 * nothing; what is wrong with it goes to the log.
 */
import { createHash } from "node:crypto";
import type { PolicySnapshot } from "../../model/mesh/control-protocol.ts";
import { readMeshFiles } from "../../model/mesh/mesh-files.ts";
import type { MeshFiles, PolicyFile, ReadPolicy } from "../../model/mesh/mesh-files.ts";
import { listeners } from "./listeners.ts";
import type { ControlLog, EndpointSource, PolicySource } from "./sources.ts";

export interface FileSourceOptions {
	readonly files: MeshFiles;
	readonly readPolicy: (files: readonly PolicyFile[]) => ReadPolicy;
	readonly log: ControlLog;
}

export function createFileSource({ files, readPolicy, log }: FileSourceOptions): PolicySource & { close(): void } {
	const listening = listeners<PolicySnapshot>(log);
	let count = 0;
	let good: PolicySnapshot | undefined;
	let current = look();
	const endWatch = files.onChange(() => {
		const snapshot = look();
		if (snapshot === undefined || snapshot.hash === current?.hash) return;
		current = snapshot;
		listening.tell(snapshot);
	});
	return {
		current: () => current,
		onChange: listening.add,
		report(version, faults) {
			if (version !== current?.version) return;
			if (faults.length === 0) {
				good = current;
				return;
			}
			current = good;
			for (const fault of faults) log("warn", "the policy cannot be run; the one before stays", { ...fault });
		},
		close: endWatch,
	};

	function look(): PolicySnapshot | undefined {
		const { documents, faults, warnings } = readMeshFiles(files, readPolicy);
		for (const fault of faults) log("warn", "the policy has a fault; the one before stays", { ...fault });
		if (faults.length > 0) return undefined;
		for (const warning of warnings) log("warn", "the policy may not mean what it says", { ...warning });
		const plain = documents.map(({ line, file, value }) => ({ line, file, value }));
		const hash = createHash("sha256").update(JSON.stringify(plain)).digest("hex");
		return { version: String(++count), hash, documents: plain };
	}
}

/** Without a registry there are only the addresses that the policy itself names. */
export const NO_ENDPOINTS: EndpointSource = { isComplete: true, services: () => [], onChange: () => () => undefined };

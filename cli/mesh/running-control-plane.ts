/** The control plane as a process runs it: state on disk under the data directory, mesh.yaml watched, one process a state. */
import { startControlPlane } from "../../control-plane/control-plane.ts";
import type { ControlPlane } from "../../control-plane/control-plane.ts";
import { lockDirectory } from "../../store/sqlite/lock.ts";
import type { Log } from "../serve/log.ts";
import type { MeshSettings } from "../settings.ts";
import { watchMeshFiles } from "./mesh-files.ts";
import { readPolicy } from "./read-policy.ts";
import { openStateFolder } from "./state-folder.ts";

/**
 * @throws MeshscopeError when the state cannot be used
 * @throws DirectoryLockedError when another process uses it
 * @throws Error of the socket when the address cannot be bound
 */
export async function runControlPlane(
	settings: MeshSettings,
	stateDirectory: string,
	nowMs: () => number,
	log: Log,
): Promise<ControlPlane> {
	const state = openStateFolder(stateDirectory);
	const unlock = lockDirectory(stateDirectory);
	const meshFiles = watchMeshFiles(settings.path);
	try {
		const control = await startControlPlane({
			listen: settings.control,
			trustDomain: settings.trustDomain,
			leafTtlMs: settings.certTtlMs,
			log: (level, message, fields) => log[level](fields, message),
			...{ state, meshFiles, readPolicy, nowMs },
		});
		return {
			...control,
			async close() {
				meshFiles.close();
				await control.close();
				unlock();
			},
		};
	} catch (error) {
		meshFiles.close();
		unlock();
		throw error;
	}
}

/** Who was in the mesh, across a restart of the control plane: until its proxies are back, it tells the endpoints that it told before. */
import { readStateJson } from "../../model/mesh/state-folder.ts";
import type { StateFolder } from "../../model/mesh/state-folder.ts";
import type { ProxyRecord } from "./proxies.ts";
import type { Instance } from "./registry.ts";

export interface Members {
	readonly instances: readonly Instance[];
	readonly proxies: readonly ProxyRecord[];
}

const STATE_FILE = "members.json";

/** @throws MeshscopeError `state_unsafe` */
export function readMembers(state: StateFolder): Members {
	return (readStateJson(state, STATE_FILE) as Members | undefined) ?? { instances: [], proxies: [] };
}

export function writeMembers(state: StateFolder, members: Members): void {
	state.write(STATE_FILE, JSON.stringify(members));
}

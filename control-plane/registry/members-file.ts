/** Who was in the mesh, across a restart of the control plane: until its proxies are back, it tells the endpoints that it told before. */
import { MeshscopeError } from "../../model/errors.ts";
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
	const text = state.read(STATE_FILE);
	if (text === undefined) return { instances: [], proxies: [] };
	try {
		const { instances, proxies } = JSON.parse(text) as Members;
		return { instances: [...instances], proxies: [...proxies] };
	} catch (error) {
		throw new MeshscopeError("state_unsafe", `${STATE_FILE} of the control plane's state is no JSON; remove it`, {
			cause: error,
		});
	}
}

export function writeMembers(state: StateFolder, members: Members): void {
	state.write(STATE_FILE, JSON.stringify(members));
}

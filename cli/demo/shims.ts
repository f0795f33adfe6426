/** Starts the shims of the demo, a process each or all in one node proxy, and waits until they are in the mesh. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ApiClient } from "../api-client.ts";
import { CommandError } from "../context.ts";
import { createJoinToken } from "../mesh/join-token.ts";
import { controlStateDirectory } from "../mesh/state-directory.ts";
import type { Children } from "./children.ts";
import { nodeProxyCommand, shimCommand, workloadsText } from "./commands.ts";
import type { ShimOptions } from "./commands.ts";
import { shimsReady } from "./liveness.ts";
import { NAMESPACE } from "./shop-plan.ts";
import type { PlannedWorkload } from "./shop-plan.ts";

export interface ShimsOptions {
	readonly children: Children;
	/** Of the demo's own files; keys and certificates go there. */
	readonly directory: string;
	/** Of the server, where its control plane's state lies. */
	readonly dataDirectory: string;
	readonly controlUrl: string;
	readonly otlpUrl: string;
	readonly api: ApiClient;
	readonly env: Readonly<Record<string, string | undefined>>;
	readonly nowMs: () => number;
	readonly signal: AbortSignal;
}

export interface Shims {
	/** A process for each. Resolves once they, and those started before, run the policy. */
	startEach(workloads: readonly PlannedWorkload[]): Promise<void>;
	/** One process for all of them. */
	startTogether(workloads: readonly PlannedWorkload[], hbonePort: number): Promise<void>;
}

const JOIN_LIMIT_MS = 60_000;
/** As examples/shop/mesh.yaml names its callers. */
const IDENTITY_PREFIX = `spiffe://cluster.local/ns/${NAMESPACE}/sa/`;

export function createShims(options: ShimsOptions): Shims {
	const { children, directory, controlUrl, otlpUrl, env } = options;
	const stateOfControl = controlStateDirectory(options.dataDirectory);
	let started = 0;

	function own({ name, service }: PlannedWorkload): Pick<ShimOptions, "token" | "stateDirectory"> {
		const stateDirectory = join(directory, "shims", name.replace(" ", "-"));
		mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
		return {
			stateDirectory,
			token: createJoinToken(stateOfControl, { identity: `${IDENTITY_PREFIX}${service}` }, options.nowMs()),
		};
	}

	async function joined(workloads: readonly PlannedWorkload[]): Promise<void> {
		started += workloads.filter(({ shim }) => shim !== undefined).length;
		if (await shimsReady(options.api, started, JOIN_LIMIT_MS, options.signal)) return;
		throw new CommandError(
			"not all shims have joined the mesh in time, or the server's answers need a token (MESHSCOPE_TOKEN)",
		);
	}

	return {
		async startEach(workloads) {
			for (const workload of workloads) {
				const command = shimCommand(workload, { controlUrl, otlpUrl, env, ...own(workload) });
				if (command !== undefined) children.start(command);
			}
			await joined(workloads);
		},
		async startTogether(workloads, hbonePort) {
			const workloadsFile = join(directory, "workloads.yaml");
			writeFileSync(workloadsFile, workloadsText(workloads, own), { mode: 0o600 });
			children.start(nodeProxyCommand({ controlUrl, otlpUrl, env, workloadsFile, hbonePort }));
			await joined(workloads);
		},
	};
}

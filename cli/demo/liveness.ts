/** Waiting for the demo's parts, and what the graph shows of them. */
import { setTimeout as delay } from "node:timers/promises";
import { graphAnswer } from "../../api/contract/topology.ts";
import type { GraphAnswer } from "../../api/contract/topology.ts";
import type { ApiClient } from "../api-client.ts";
import { loopback } from "./shop-plan.ts";
import type { PlannedWorkload } from "./shop-plan.ts";

const POLL_MS = 100;
const ASK_TIMEOUT_MS = 1_000;

/** @returns once every shim says that it is ready @throws AbortError at the end of `signal` */
export async function shimsReady(workloads: readonly PlannedWorkload[], signal: AbortSignal): Promise<void> {
	await Promise.all(
		workloads.map(async ({ shim }) => {
			if (shim === undefined) return;
			while (!(await isReady(shim.adminPort))) await delay(POLL_MS, undefined, { signal });
		}),
	);
}

async function isReady(adminPort: number): Promise<boolean> {
	try {
		const response = await fetch(`http://${loopback(adminPort)}/ready`, { signal: AbortSignal.timeout(ASK_TIMEOUT_MS) });
		await response.arrayBuffer();
		return response.ok;
	} catch {
		return false;
	}
}

/** Undefined where it cannot be asked. */
export async function askGraph(api: ApiClient): Promise<GraphAnswer | undefined> {
	const answer = await api.get("/api/v1/graph?from=now-5m").catch(() => undefined);
	if (answer?.status !== 200) return undefined;
	const parsed = graphAnswer.safeParse(JSON.parse(answer.text));
	return parsed.success ? parsed.data : undefined;
}

/**
 * Services that nothing has reached yet, as far as the graph knows. What one end alone sees (no shim at the other) shows after half a
 * minute, and what is counted in metrics alone (TCP) with the next push of them: neither is waited for.
 */
export function missingServices(graph: GraphAnswer, workloads: readonly PlannedWorkload[]): readonly string[] {
	const reached = new Set(graph.edges.map((edge) => graph.nodes.find((node) => node.id === edge.target)?.service));
	const wanted = workloads.filter(
		({ shim, serves, host }) => shim !== undefined && (serves?.protocol ?? "tcp") !== "tcp" && host !== "late",
	);
	return [...new Set(wanted.map(({ service }) => service))].filter((service) => !reached.has(service));
}

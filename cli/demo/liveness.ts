/** Waiting for the demo's parts, and what the graph shows of them. */
import { setTimeout as delay } from "node:timers/promises";
import { meshAnswer } from "../../api/contract/mesh.ts";
import { graphAnswer } from "../../api/contract/topology.ts";
import type { GraphAnswer } from "../../api/contract/topology.ts";
import type { ApiClient } from "../api-client.ts";
import type { PlannedWorkload } from "./shop-plan.ts";

const POLL_MS = 100;

/**
 * @returns true once so many shims have their certificates and run the policy in force, false at the limit
 * @throws AbortError at the end of `signal`
 */
export async function shimsReady(api: ApiClient, count: number, limitMs: number, signal: AbortSignal): Promise<boolean> {
	for (const endMs = performance.now() + limitMs; performance.now() < endMs;) {
		if ((await shimsInSync(api)) >= count) return true;
		await delay(POLL_MS, undefined, { signal });
	}
	return false;
}

async function shimsInSync(api: ApiClient): Promise<number> {
	const answer = await api.get("/api/v1/mesh").catch(() => undefined);
	if (answer?.status !== 200) return 0;
	const parsed = meshAnswer.safeParse(JSON.parse(answer.text));
	return parsed.success ? parsed.data.proxies.inSync : 0;
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

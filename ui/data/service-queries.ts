/** What the page of a service asks: its traffic and its course, operations, workloads, identities, members of the mesh, failures. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { UseQueryResult } from "@tanstack/react-query";
import type { MeshInstancesAnswer } from "../../api/contract/mesh.ts";
import type { OperationFiguresAnswer } from "../../api/contract/services.ts";
import type { GraphAnswer, MtlsAnswer, ServiceHistoryAnswer, ServiceTrafficAnswer } from "../../api/contract/topology.ts";
import type { TraceSearchAnswer } from "../../api/contract/traces.ts";
import { getJson } from "../base/api.ts";
import { serviceOfNode } from "./node-name.ts";
import { useStatus } from "./queries.ts";

/** Topology is flushed every two seconds. */
const FIGURES_INTERVAL_MS = 5_000;
/** Operations and failures are searched in stored spans, which costs more. */
const SEARCH_INTERVAL_MS = 15_000;

export interface ServiceQuestion {
	/** A service's name, or the ID of its node. */
	readonly service: string;
	/** The API's own query string of a range. */
	readonly query: string;
	readonly live: boolean;
}

export interface ServiceTraffic {
	readonly traffic: ServiceTrafficAnswer;
	readonly history: ServiceHistoryAnswer;
	/** When it was read, epoch ms by this browser's clock. */
	readonly readAtMs: number;
}

function useOfService<T>(
	what: string,
	{ service, query, live }: ServiceQuestion,
	read: (signal: AbortSignal) => Promise<T>,
	intervalMs: number,
): UseQueryResult<T> {
	return useQuery({
		queryKey: ["service", service, what, query],
		queryFn: ({ signal }) => read(signal),
		refetchInterval: live ? intervalMs : false,
		retry: false,
		placeholderData: (previous, asked) => (asked?.queryKey[1] === service ? keepPreviousData(previous) : undefined),
	});
}

export function useServiceTraffic(question: ServiceQuestion): UseQueryResult<ServiceTraffic> {
	const path = `/services/${encodeURIComponent(question.service)}`;
	const read = async (signal: AbortSignal): Promise<ServiceTraffic> => {
		const [traffic, history] = await Promise.all([
			getJson<ServiceTrafficAnswer>(`${path}?${question.query}`, signal),
			getJson<ServiceHistoryAnswer>(`${path}/history?${question.query}`, signal),
		]);
		return { traffic, history, readAtMs: Date.now() };
	};
	return useOfService("traffic", question, read, FIGURES_INTERVAL_MS);
}

export function useOperationFigures(question: ServiceQuestion): UseQueryResult<OperationFiguresAnswer> {
	const path = `/services/${encodeURIComponent(serviceOfNode(question.service))}/operations/figures`;
	const read = (signal: AbortSignal) => getJson<OperationFiguresAnswer>(`${path}?${question.query}`, signal);
	return useOfService("operations", question, read, SEARCH_INTERVAL_MS);
}

/** Newest first. */
export function useFailedTraces(question: ServiceQuestion): UseQueryResult<TraceSearchAnswer> {
	const filter = new URLSearchParams({ service: serviceOfNode(question.service), status: "error", limit: "20" }).toString();
	const read = (signal: AbortSignal) => getJson<TraceSearchAnswer>(`/traces?${filter}&${question.query}`, signal);
	return useOfService("failures", question, read, SEARCH_INTERVAL_MS);
}

export interface ServiceMembers {
	readonly workloads: GraphAnswer["nodes"];
	readonly identities: MtlsAnswer["identities"];
}

/** @param nodes IDs of the service's nodes, as its traffic tells them */
export function useServiceMembers(question: ServiceQuestion, nodes: readonly string[]): UseQueryResult<ServiceMembers> {
	const own = new Set(nodes);
	const read = async (signal: AbortSignal): Promise<ServiceMembers> => {
		const [graph, mtls] = await Promise.all([
			getJson<GraphAnswer>(`/graph?${question.query}&groupBy=workload`, signal),
			getJson<MtlsAnswer>(`/mtls?${question.query}`, signal),
		]);
		return {
			workloads: graph.nodes.filter(({ id }) => own.has(id) || own.has(id.replace(/@[^@]*$/, ""))),
			identities: mtls.identities.filter(({ service }) => own.has(service)),
		};
	};
	return useOfService(`members ${nodes.join(" ")}`, question, read, SEARCH_INTERVAL_MS);
}

/** As the control plane knows them; a server that runs none is not asked. */
export function useMeshInstances(): UseQueryResult<MeshInstancesAnswer["instances"]> {
	const { data: status } = useStatus();
	return useQuery({
		enabled: status?.controlPlane === true,
		queryKey: ["mesh-instances"],
		queryFn: async ({ signal }) => (await getJson<MeshInstancesAnswer>("/mesh/instances", signal)).instances,
		retry: false,
		staleTime: FIGURES_INTERVAL_MS,
		refetchInterval: SEARCH_INTERVAL_MS,
	});
}

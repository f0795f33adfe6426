/** What the pages that audit ask: mTLS and changes of the graph, and the own mesh's state. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { UseQueryResult } from "@tanstack/react-query";
import type {
	MeshAnswer,
	MeshCertificatesAnswer,
	MeshInstancesAnswer,
	MeshPolicyAnswer,
	MeshProxiesAnswer,
	MeshServicesAnswer,
} from "../../api/contract/mesh.ts";
import type { EdgeAnswer, GraphAnswer, GraphDiffAnswer, GraphHistoryAnswer, MtlsAnswer } from "../../api/contract/topology.ts";
import { getJson } from "../base/api.ts";

/** The topology is flushed every two seconds; a table that people read should not move as often. */
const AUDIT_INTERVAL_MS = 10_000;
const MESH_INTERVAL_MS = 5_000;

export interface MtlsAudit {
	readonly mtls: MtlsAnswer;
	/** Of the same range: who reported each edge, and its handshakes that failed. */
	readonly graph: GraphAnswer;
	/** When it was read, epoch ms by this browser's clock. */
	readonly readAtMs: number;
}

/** @param query the API's own query string, of a range */
export function useMtlsAudit(query: string, live: boolean): UseQueryResult<MtlsAudit> {
	return useQuery({
		queryKey: ["mtls", query],
		queryFn: async ({ signal }) => {
			const [mtls, graph] = await Promise.all([
				getJson<MtlsAnswer>(`/mtls?${query}`, signal),
				getJson<GraphAnswer>(`/graph?${query}`, signal),
			]);
			return { mtls, graph, readAtMs: Date.now() };
		},
		refetchInterval: live ? AUDIT_INTERVAL_MS : false,
		retry: false,
		placeholderData: keepPreviousData,
	});
}

/** The whole mesh over a range, step by step. @param query the API's own query string, of the range */
export function useMeshHistory(query: string, live: boolean): UseQueryResult<GraphHistoryAnswer> {
	return useQuery({
		queryKey: ["mesh-history", query],
		queryFn: ({ signal }) => getJson<GraphHistoryAnswer>(`/graph/history?${query}`, signal),
		refetchInterval: live ? AUDIT_INTERVAL_MS : false,
		retry: false,
		placeholderData: keepPreviousData,
	});
}

/** @param query the API's own query string, of two ranges */
export function useGraphDiff(query: string, live: boolean): UseQueryResult<GraphDiffAnswer> {
	return useQuery({
		queryKey: ["graph-diff", query],
		queryFn: ({ signal }) => getJson<GraphDiffAnswer>(`/graph/diff?${query}`, signal),
		refetchInterval: live ? AUDIT_INTERVAL_MS : false,
		retry: false,
		placeholderData: keepPreviousData,
	});
}

interface EdgeSamplesQuestion {
	readonly id: string;
	readonly from: string;
	readonly to: string;
	readonly enabled: boolean;
}

type Sample = EdgeAnswer["histogram"][number]["exemplars"][number];

/** Traces that show an edge: failed ones first, then the slowest. */
export function useEdgeSamples({ id, from, to, enabled }: EdgeSamplesQuestion): UseQueryResult<readonly Sample[]> {
	return useQuery({
		queryKey: ["edge-samples", id, from, to],
		queryFn: async ({ signal }) => {
			const query = new URLSearchParams({ from, to }).toString();
			const { histogram } = await getJson<EdgeAnswer>(`/edges/${encodeURIComponent(id)}?${query}`, signal);
			const samples = new Map(histogram.flatMap(({ exemplars }) => exemplars).map((sample) => [sample.traceId, sample]));
			return [...samples.values()].toSorted((a, b) => Number(b.isError) - Number(a.isError) || b.durationMs - a.durationMs);
		},
		enabled,
		staleTime: AUDIT_INTERVAL_MS,
		placeholderData: keepPreviousData,
	});
}

export interface MeshPicture {
	readonly mesh: MeshAnswer;
	readonly services: MeshServicesAnswer["services"];
	readonly instances: MeshInstancesAnswer["instances"];
	readonly proxies: MeshProxiesAnswer["proxies"];
	readonly certificates: MeshCertificatesAnswer["certificates"];
	readonly policy: MeshPolicyAnswer;
	/** When it was read, epoch ms by this browser's clock. */
	readonly readAtMs: number;
}

/** @param enabled whether a control plane runs */
export function useMesh(enabled: boolean): UseQueryResult<MeshPicture> {
	return useQuery({
		enabled,
		queryKey: ["mesh"],
		queryFn: async ({ signal }) => {
			const [mesh, services, instances, proxies, certificates, policy] = await Promise.all([
				getJson<MeshAnswer>("/mesh", signal),
				getJson<MeshServicesAnswer>("/mesh/services", signal),
				getJson<MeshInstancesAnswer>("/mesh/instances", signal),
				getJson<MeshProxiesAnswer>("/mesh/proxies", signal),
				getJson<MeshCertificatesAnswer>("/mesh/certificates", signal),
				getJson<MeshPolicyAnswer>("/mesh/policy", signal),
			]);
			return {
				mesh,
				services: services.services,
				instances: instances.instances,
				proxies: proxies.proxies,
				certificates: certificates.certificates,
				policy,
				readAtMs: Date.now(),
			};
		},
		refetchInterval: MESH_INTERVAL_MS,
		retry: false,
	});
}

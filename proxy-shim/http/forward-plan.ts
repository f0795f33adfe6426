/** What forwarding (forward.ts) is told of one exchange, decided before the first attempt. */
import type { Fallback, HeaderChanges, RetryPolicy } from "../../model/mesh/proxy-config.ts";
import type { HopSink } from "../telemetry/hop.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";
import type { HeaderList } from "./message.ts";

export interface ForwardPlan {
	readonly cluster: Cluster;
	readonly protocol: "http1" | "http2";
	readonly path: string;
	readonly authority: string;
	readonly scheme: string;
	/** As they go upstream, but for what is different with each attempt. */
	readonly headers: HeaderList;
	readonly responseChanges: readonly HeaderChanges[];
	/** Added to the response. */
	readonly responseHeaders: HeaderList;
	readonly retries: RetryPolicy;
	/** 0: off. */
	readonly timeoutMs: number;
	/** Of the caller; undefined for none. */
	readonly grpcTimeoutMs: number | undefined;
	readonly fallback: Fallback | undefined;
	readonly hash: number;
	/** Names the cluster in telemetry. */
	readonly clusterLabel: string;
}

export interface ForwardParts {
	readonly random: () => number;
	readonly nowMs: () => number;
	readonly sink: Pick<HopSink, "http">;
	readonly clusterNamed: (name: string) => Cluster | undefined;
	/** Of the peer that the attempt goes to. */
	readonly onAttempt: (host: Host, cluster: Cluster) => void;
}

/** For what is never asked twice. */
export const NO_RETRIES: RetryPolicy = {
	attempts: 0,
	on: new Set(),
	onStatus: new Set(),
	perTryTimeoutMs: 0,
	backoffBaseMs: 25,
	backoffMaxMs: 250,
};

/**
 * Copies of requests for routes that mirror: sent beside the request and forgotten, whatever comes of them. They are bounded: so many
 * at a time, and none with a body beyond what is kept for retries.
 */
import { Readable } from "node:stream";
import type { Cluster } from "../upstream/cluster.ts";
import { isRefusal } from "../upstream/cluster.ts";
import type { UpstreamRequest } from "../upstream/call.ts";
import type { RequestBody } from "./body.ts";
import { REPLAY_LIMIT_BYTES } from "./body.ts";

const MAX_MIRRORS = 128;
const MIRROR_TIMEOUT_MS = 15_000;

export interface Mirrors {
	/** `request` without its body. */
	send(
		cluster: Cluster,
		protocol: "http1" | "http2",
		request: Omit<UpstreamRequest, "body">,
		body: RequestBody | undefined,
	): void;
	/** Left out because too many were under way, or too large. */
	readonly dropped: number;
}

export function createMirrors(): Mirrors {
	let active = 0;
	let dropped = 0;

	function start(
		cluster: Cluster,
		protocol: "http1" | "http2",
		request: Omit<UpstreamRequest, "body">,
		content: Buffer | undefined,
	): void {
		const attempt = active >= MAX_MIRRORS ? undefined : cluster.begin({ hash: 0, tried: new Set() });
		if (attempt === undefined || isRefusal(attempt)) {
			dropped++;
			return;
		}
		active++;
		let over = false;
		const end = (outcome: Parameters<typeof attempt.end>[0]): void => {
			if (over) return;
			over = true;
			active--;
			clearTimeout(timer);
			attempt.end(outcome);
		};
		const body = content === undefined ? undefined : { open: () => Readable.from([content]), trailers: [] };
		let status = 0;
		const call = cluster.pool(attempt.host, protocol).call(
			{ ...request, authority: shadowOf(request.authority), body },
			{
				onConnection() {},
				onInformational() {},
				onHead: (received) => (status = received),
				onData: () => true,
				onEnd: () => end({ kind: "response", status, grpcStatus: undefined }),
				onFailure: () => end({ kind: "local", reason: "reset" }),
			},
		);
		const timer = setTimeout(() => {
			call.cancel();
			end(undefined);
		}, MIRROR_TIMEOUT_MS);
	}

	return {
		send(cluster, protocol, request, body) {
			if (body === undefined) {
				start(cluster, protocol, request, undefined);
				return;
			}
			const chunks: Buffer[] = [];
			let bytes = 0;
			body.chunkWatchers.push((chunk) => {
				bytes += chunk.length;
				if (bytes <= REPLAY_LIMIT_BYTES) chunks.push(chunk);
				else chunks.length = 0;
			});
			body.completionWatchers.push(() => {
				if (bytes > REPLAY_LIMIT_BYTES) dropped++;
				else start(cluster, protocol, request, Buffer.concat(chunks));
			});
		},
		get dropped() {
			return dropped;
		},
	};
}

/** As Envoy marks it: `orders-shadow:8080`. */
function shadowOf(authority: string): string {
	const port = /:\d+$/.exec(authority)?.[0] ?? "";
	return `${authority.slice(0, authority.length - port.length)}-shadow${port}`;
}

/** Connections of HTTP/1.1 to one endpoint in both tiers: plain requests go over bare sockets, the others over the parser's clients. */
import type { HttpPool, PoolSettings } from "../upstream/http-pool.ts";
import { createHttp1Pool } from "../upstream/http1-pool.ts";
import { createRawConnection, isPlainRequest } from "./raw-connection.ts";

export function createTieredPool(settings: PoolSettings): HttpPool {
	const plain = createHttp1Pool(settings, (facts, idleTimeoutMs, onGone) => createRawConnection(facts, idleTimeoutMs, onGone));
	const others = createHttp1Pool(settings);
	return {
		call: (request, sink) => (isPlainRequest(request) ? plain : others).call(request, sink),
		close() {
			plain.close();
			others.close();
		},
		get connections() {
			return plain.connections + others.connections;
		},
	};
}

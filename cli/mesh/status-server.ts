/** The small HTTP side of a control plane that stands alone: the mesh as `serve` tells it, and the two probes, behind the same guards. */
import fastify from "fastify";
import type { AddressInfo } from "node:net";
import { installAuth } from "../../api/plugins/auth.ts";
import { installErrors } from "../../api/plugins/errors.ts";
import { installRequestLog, requestIds } from "../../api/plugins/request-log.ts";
import { installSecurity } from "../../api/plugins/security.ts";
import { notFound } from "../../api/plugins/ui.ts";
import { addRoute, sendJson } from "../../api/routes/context.ts";
import { addMeshRoutes } from "../../api/routes/mesh.ts";
import type { MeshStateSource } from "../../model/mesh/mesh-state.ts";
import type { Log } from "../serve/log.ts";
import type { Settings } from "../settings.ts";
import { formatAddress } from "../settings/values.ts";

export interface StatusServer {
	/** `host:port` as bound. */
	readonly address: string;
	close(): Promise<void>;
}

/** @throws Error of the socket when the address cannot be bound */
export async function startStatusServer(
	settings: Pick<Settings, "http" | "allowHosts" | "readTokens">,
	mesh: MeshStateSource,
	nowMs: () => number,
	log: Log,
): Promise<StatusServer> {
	const app = fastify({
		bodyLimit: 1_024,
		genReqId: requestIds(),
		trustProxy: false,
		requestTimeout: 15_000,
		forceCloseConnections: true,
	});
	installErrors(app, log);
	installRequestLog(app, log, nowMs);
	installSecurity(app, { boundHost: settings.http.host, allowHosts: settings.allowHosts });
	for (const probe of ["healthz", "readyz"] as const)
		addRoute(app, probe, async ({ reply }) => sendJson(reply, { status: "ok" }));
	await app.register(async (scope) => {
		installAuth(scope, settings.readTokens);
		addMeshRoutes(scope, mesh);
		scope.get("/*", (request) => {
			throw notFound(request);
		});
	});
	await app.listen({ host: settings.http.host, port: settings.http.port });
	const { address, port } = app.server.address() as AddressInfo;
	return { address: formatAddress({ host: address, port }), close: () => app.close() };
}

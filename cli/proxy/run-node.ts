/**
 * A node proxy: the proxies of several workloads in one process. Each has its identity, its policy and its line to the control plane; they
 * share what costs memory once: the process, telemetry and its connection, the port that takes tunnels, and tunnels by identity.
 */
import { hostname } from "node:os";
import type { Admin } from "../../proxy-shim/admin/admin.ts";
import type { Workload } from "../../model/mesh/proxy-config.ts";
import { formatSpiffeId } from "../../model/mesh/spiffe-id.ts";
import { formatTarget } from "../../proxy-shim/hbone/address.ts";
import { createHboneClient } from "../../proxy-shim/hbone/client.ts";
import type { HboneClient } from "../../proxy-shim/hbone/client.ts";
import { startNodeListener } from "../../proxy-shim/hbone/node.ts";
import type { NodeListener } from "../../proxy-shim/hbone/node.ts";
import type { IdentitySource } from "../../proxy-shim/tls/identity-source.ts";
import { CommandError, messageOf } from "../context.ts";
import type { CliContext } from "../context.ts";
import { endSignal } from "../serve/end-signal.ts";
import { createLog } from "../serve/log.ts";
import { formatAddress } from "../settings/values.ts";
import { openAdmin, proxyGauges } from "./admin.ts";
import type { NodeSettings } from "./node-settings.ts";
import { reachable } from "./registration.ts";
import { closeTelemetry, NEWS_MS, openTelemetry, startWorkload, untilEnded } from "./run.ts";
import type { Running } from "./run.ts";

const DRAIN_POLL_MS = 20;

/** Resolves with the exit code once the proxy has ended. */
export async function runNodeProxy(settings: NodeSettings, context: CliContext): Promise<number> {
	const { drainMs, logLevel } = settings.shared;
	const log = createLog(logLevel, context.stderr);
	const ending = endSignal(log);
	const telemetry = openTelemetry(settings.shared, log, nodeItself(settings), () =>
		running.flatMap((one, i) => [...proxyGauges(one.proxy, [["workload", settings.workloads[i]!.workload.workload]])]),
	);
	const tunnels = new Map<string, HboneClient>();
	const running: Running[] = [];
	const drain = Promise.withResolvers<string>();
	let node: NodeListener | undefined;
	let admin: Admin | undefined;
	let isDraining = false;

	function serviceOf(i: number): string {
		const { namespace, service } = settings.workloads[i]!.workload;
		return `${namespace}/${service}`;
	}

	/** All of them, for who asks whether the node may be called. */
	function isReady(): { ready: boolean; reason: string } {
		if (isDraining) return { ready: false, reason: "draining" };
		for (const [i, one] of running.entries()) {
			const { ready, reason } = one.isReady();
			if (!ready) return { ready, reason: `${serviceOf(i)}: ${reason}` };
		}
		return { ready: true, reason: "" };
	}

	function tunnelsFor(principal: string, source: IdentitySource): HboneClient {
		let client = tunnels.get(principal);
		if (client === undefined) {
			client = createHboneClient({ source, nowMs: context.nowMs, events: telemetry });
			tunnels.set(principal, client);
		}
		return client;
	}

	async function close(): Promise<boolean> {
		isDraining = true;
		const ending = Promise.all(running.map((one) => one.close()));
		// Peers hear of it first, and until then the tunnel port takes their calls as ever.
		if (settings.workloads.some(({ policy, inbound }) => policy.kind === "control" && inbound.length > 0))
			await new Promise((resolve) => setTimeout(resolve, NEWS_MS));
		node?.drain();
		const ends = await ending;
		const untilMs = performance.now() + drainMs;
		while (node !== undefined && node.active > 0 && performance.now() < untilMs) {
			await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
		}
		const isWhole = ends.every(Boolean) && (node?.active ?? 0) === 0;
		node?.close();
		for (const client of tunnels.values()) client.close();
		await admin?.close();
		await closeTelemetry(telemetry);
		return isWhole;
	}

	try {
		const listener = await startNodeListener(settings.hbone, { events: telemetry, nowMs: context.nowMs }).catch(
			(error: unknown) => {
				throw new CommandError(`--hbone ${formatAddress(settings.hbone)}: ${messageOf(error)}`);
			},
		);
		node = listener;
		const hboneAddress = formatTarget({
			host: settings.advertise ?? reachable(listener.address.host),
			port: listener.address.port,
		});
		for (const workload of settings.workloads) {
			const one = await startWorkload(workload, context, log, { telemetry, hboneAddress, tunnelsFor });
			running.push(one);
			if (one.identity === undefined) continue;
			listener.add({
				principal: formatSpiffeId(workload.workload),
				identity: one.identity,
				ports: one.ports.map(({ address, port }, i) => ({
					host: address,
					port,
					accept: (socket, tls) => one.proxy.acceptTunnel(i, socket, tls),
				})),
			});
		}
		const listen = settings.shared.admin;
		if (listen !== undefined) {
			admin = await openAdmin(listen, {
				proxies: running.map(({ proxy, identity }, i) => ({ service: serviceOf(i), proxy, identity })),
				ready: isReady,
				nowMs: context.nowMs,
				stats: () => telemetry.prometheus(),
				drain: () => drain.resolve("asked at the admin port"),
			}).catch((error: unknown) => {
				throw new CommandError(`--admin ${formatAddress(listen)}: ${messageOf(error)}`);
			});
		}
		const addresses = {
			...(admin === undefined ? {} : { admin: formatAddress(admin) }),
			hbone: formatAddress(listener.address),
			workloads: running.map((one, i) => ({ service: serviceOf(i), ...one.addresses })),
		};
		const active = (): number => running.reduce((sum, one) => sum + one.proxy.active(), listener.active);
		return await untilEnded({ addresses, close, drainAsked: drain.promise }, { active, drainMs, ending, log, context });
	} catch (error) {
		await close();
		throw error;
	}
}

/** Whose own metrics are those of the process; hops bear their workloads'. */
function nodeItself({ workloads }: NodeSettings): Workload {
	const name = "node-proxy";
	return {
		trustDomain: workloads[0]!.workload.trustDomain,
		namespace: "",
		service: name,
		workload: name,
		version: "",
		serviceAccount: name,
		instanceId: `${name}-${hostname().toLowerCase()}`,
		labels: { app: name },
	};
}

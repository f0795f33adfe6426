/**
 * Starts and stops everything that takes telemetry in. Runs on the main thread and does I/O only: payloads go to the sink unread.
 */
import type { IngestSink } from "../ingest.ts";
import { accessLogService } from "./envoy-als.ts";
import { healthService } from "./grpc-health.ts";
import { startGrpcServer } from "./grpc-server.ts";
import { startHttpReceiver } from "./http-receiver.ts";
import type { RunningReceiver } from "./http-receiver.ts";
import { refusalNotes, tokenCheck } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { otlpServices } from "./otlp-grpc.ts";
import { otlpHttp } from "./otlp-http.ts";
import { DEFAULT_LIMITS } from "./settings.ts";
import type { ReceiverAddresses, ReceiverLog, ReceiverSettings, Receivers, Transport } from "./settings.ts";
import { zipkin } from "./zipkin.ts";

export type { Receivers } from "./settings.ts";

/** Rejects, with nothing left listening, when one of the addresses cannot be bound. */
export async function startReceivers(settings: ReceiverSettings, sink: IngestSink, log: ReceiverLog): Promise<Receivers> {
	let draining = false;
	const ingress: Ingress = {
		sink,
		log,
		limits: {
			...DEFAULT_LIMITS,
			...settings.limits,
			maxPayloadBytes: settings.maxPayloadBytes ?? DEFAULT_LIMITS.maxPayloadBytes,
		},
		authorized: tokenCheck(settings.ingestTokens ?? []),
		draining: () => draining,
		noteRefusal: refusalNotes(log, Date.now),
	};
	const { tls } = settings;
	const running = new Map<Transport, RunningReceiver>();
	const closeAll = async (graceMs: number): Promise<void> => {
		draining = true;
		await Promise.all([...running.values()].map((receiver) => receiver.close(graceMs)));
	};
	try {
		if (settings.otlpGrpc !== undefined) {
			const telemetry = [...otlpServices(ingress), accessLogService(ingress)];
			const health = healthService(
				telemetry.map((service) => service.name),
				ingress.draining,
			);
			running.set("otlpGrpc", await startGrpcServer(ingress, [...telemetry, health], settings.otlpGrpc, tls));
		}
		if (settings.otlpHttp !== undefined)
			running.set("otlpHttp", await startHttpReceiver(ingress, otlpHttp, settings.otlpHttp, tls));
		if (settings.zipkin !== undefined) running.set("zipkin", await startHttpReceiver(ingress, zipkin, settings.zipkin, tls));
	} catch (error) {
		await closeAll(0);
		throw error;
	}
	const addresses: ReceiverAddresses = Object.fromEntries([...running].map(([transport, { address }]) => [transport, address]));
	return { addresses, close: closeAll };
}

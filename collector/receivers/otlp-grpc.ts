/** The three OTLP collector services (opentelemetry/proto/collector/{trace,logs,metrics}/v1). */
import type { Signal } from "../../store/store.ts";
import type { GrpcService } from "./grpc-service.ts";
import { unary } from "./grpc-service.ts";
import { deliver } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { encodeExportResponse } from "./wire.ts";

const SERVICE_NAMES: Readonly<Record<Signal, string>> = {
	traces: "opentelemetry.proto.collector.trace.v1.TraceService",
	logs: "opentelemetry.proto.collector.logs.v1.LogsService",
	metrics: "opentelemetry.proto.collector.metrics.v1.MetricsService",
};

export function otlpServices(ingress: Ingress): readonly GrpcService[] {
	return (Object.keys(SERVICE_NAMES) as Signal[]).map((signal) => ({
		name: SERVICE_NAMES[signal],
		methods: {
			Export: unary({ signal, authenticated: true }, async ({ bytes, reservation }, call) => {
				const outcome = await deliver(
					ingress,
					{ signal, encoding: "otlp-protobuf", bytes, self: call.self },
					reservation,
				);
				if (outcome.kind === "refused") {
					call.fail(outcome);
					return;
				}
				call.send(encodeExportResponse(outcome.rejected, outcome.errorMessage));
				call.finish();
			}),
		},
	}));
}

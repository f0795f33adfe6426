/** What a person pastes to point a sender at this server. Every address is the one it listens on. */
import { urlOf } from "../../data/ingest-address.ts";
import type { IngestAddress } from "../../data/ingest-address.ts";

export interface Snippet {
	readonly key: string;
	readonly title: string;
	/** One sentence above the code. */
	readonly intro: string;
	readonly code: string;
	/** True where the sender usually runs on another machine than this server. */
	readonly remote: boolean;
}

export function snippets(grpc: IngestAddress | undefined, http: IngestAddress | undefined): readonly Snippet[] {
	const all: (Snippet | undefined)[] = [
		grpc && {
			key: "envoy",
			title: "Envoy",
			intro: "In the HTTP connection manager, and among the clusters:",
			code: envoy(grpc),
			remote: false,
		},
		grpc && {
			key: "istio",
			title: "Istio",
			intro: "In the mesh configuration, and one Telemetry resource for the mesh:",
			code: istio(grpc),
			remote: true,
		},
		(grpc ?? http) && {
			key: "sdk",
			title: "OpenTelemetry SDK",
			intro: "Environment of any program with an OpenTelemetry SDK, before it starts:",
			code: sdk(grpc, http),
			remote: false,
		},
		(grpc ?? http) && {
			key: "collector",
			title: "Collector",
			intro: "In the OpenTelemetry Collector's configuration, beside the exporters it has:",
			code: collector(grpc, http),
			remote: false,
		},
		http && {
			key: "curl",
			title: "One span by hand",
			intro: "Sends a single span, to see that the way is free:",
			code: curl(http),
			remote: false,
		},
	];
	return all.filter((snippet) => snippet !== undefined);
}

function envoy(grpc: IngestAddress): string {
	return `# http_connection_manager:
tracing:
  provider:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      service_name: my-service
      grpc_service:
        envoy_grpc: { cluster_name: meshscope }
        timeout: 1s

# static_resources.clusters:
- name: meshscope
  type: STRICT_DNS
  connect_timeout: 1s
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http2_protocol_options: {} }
  load_assignment:
    cluster_name: meshscope
    endpoints:
    - lb_endpoints:
      - endpoint:
          address:
            socket_address: { address: "${bare(grpc.host)}", port_value: ${grpc.port} }`;
}

function istio(grpc: IngestAddress): string {
	return `meshConfig:
  enableTracing: true
  extensionProviders:
  - name: meshscope
    opentelemetry:
      # a name that the proxies can resolve
      service: "${bare(grpc.host)}"
      port: ${grpc.port}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: meshscope
  namespace: istio-system
spec:
  tracing:
  - providers: [{ name: meshscope }]
    randomSamplingPercentage: 100`;
}

function sdk(grpc: IngestAddress | undefined, http: IngestAddress | undefined): string {
	const [address, protocol] = grpc === undefined ? [http!, "http/protobuf"] : [grpc, "grpc"];
	return `export OTEL_SERVICE_NAME=my-service
export OTEL_EXPORTER_OTLP_ENDPOINT=${urlOf(address)}
export OTEL_EXPORTER_OTLP_PROTOCOL=${protocol}`;
}

function collector(grpc: IngestAddress | undefined, http: IngestAddress | undefined): string {
	const exporter = grpc === undefined ? "otlphttp/meshscope" : "otlp/meshscope";
	const body =
		grpc === undefined
			? `    endpoint: ${urlOf(http!)}`
			: `    endpoint: "${grpc.host}:${grpc.port}"${grpc.secure ? "" : "\n    tls: { insecure: true }"}`;
	return `exporters:
  ${exporter}:
${body}

service:
  pipelines:
    traces: { exporters: [${exporter}] }
    metrics: { exporters: [${exporter}] }
    logs: { exporters: [${exporter}] }
# keep each pipeline's receivers and processors as they are`;
}

function curl(http: IngestAddress): string {
	return `curl -i ${urlOf(http)}/v1/traces -H 'content-type: application/json' -d @- <<EOF
{"resourceSpans":[{
  "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},
  "scopeSpans":[{"spans":[{
    "traceId":"$(openssl rand -hex 16)","spanId":"$(openssl rand -hex 8)",
    "name":"hello meshscope","kind":2,
    "startTimeUnixNano":"$(date +%s)000000000","endTimeUnixNano":"$(date +%s)042000000"
  }]}]
}]}
EOF`;
}

/** Without the brackets that an IPv6 address has in a URL. */
function bare(host: string): string {
	return host.replace(/^\[|\]$/g, "");
}

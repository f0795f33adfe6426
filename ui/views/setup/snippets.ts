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
			key: "envoy-access-log",
			title: "Envoy access log",
			intro: "Beside the tracing above, so that calls that no span tells of are seen too; the cluster is the same:",
			code: envoyAccessLog(),
			remote: false,
		},
		grpc && {
			key: "envoy-als",
			title: "Envoy access log service",
			intro: "Where a proxy already writes to a gRPC access log service, over HTTP or TCP; the cluster is the same:",
			code: envoyAls(),
			remote: false,
		},
		grpc && {
			key: "istio",
			title: "Istio",
			intro: "In the mesh configuration, and one Telemetry resource for the mesh:",
			code: istio(grpc),
			remote: true,
		},
		grpc && {
			key: "linkerd",
			title: "Linkerd",
			intro: "Linkerd's proxies tell of calls and mTLS in their metrics. In meshscope.yaml; then start with --config meshscope.yaml:",
			code: linkerd(),
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
		grpc && {
			key: "shim",
			title: "No mesh: our proxy",
			intro: "In the checkout: a proxy before a service that listens on port 8080. Then call port 15101:",
			code: shim(grpc),
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

/** Attributes of the OTLP access log, and the operators that fill them. */
const ACCESS_LOG_FIELDS: readonly (readonly [attribute: string, operator: string])[] = [
	["log_type", "ACCESS_LOG_TYPE"],
	["authority", "REQ(:AUTHORITY)"],
	["response_code", "RESPONSE_CODE"],
	["grpc_status", "GRPC_STATUS_NUMBER"],
	["response_flags", "RESPONSE_FLAGS"],
	["duration_ms", "DURATION"],
	["bytes_received", "BYTES_RECEIVED"],
	["bytes_sent", "BYTES_SENT"],
	["attempts", "UPSTREAM_REQUEST_ATTEMPT_COUNT"],
	["upstream_cluster", "UPSTREAM_CLUSTER"],
	["upstream_host", "UPSTREAM_HOST"],
	["downstream_remote", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS"],
	["downstream_tls_version", "DOWNSTREAM_TLS_VERSION"],
	["downstream_peer_uri_san", "DOWNSTREAM_PEER_URI_SAN"],
	["downstream_local_uri_san", "DOWNSTREAM_LOCAL_URI_SAN"],
	["downstream_peer_cert_end", "DOWNSTREAM_PEER_CERT_V_END"],
	["upstream_tls_version", "UPSTREAM_TLS_VERSION"],
	["upstream_peer_uri_san", "UPSTREAM_PEER_URI_SAN"],
	["upstream_local_uri_san", "UPSTREAM_LOCAL_URI_SAN"],
	["upstream_peer_cert_end", "UPSTREAM_PEER_CERT_V_END"],
	["upstream_tls_failure", "UPSTREAM_TRANSPORT_FAILURE_REASON"],
];

function envoyAccessLog(): string {
	const fields = ACCESS_LOG_FIELDS.map(
		([key, operator]) => `      - { key: ${key}, value: { string_value: "%${operator}%" } }`,
	);
	return `# http_connection_manager or tcp_proxy:
access_log:
- name: envoy.access_loggers.open_telemetry
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig
    common_config:
      log_name: meshscope
      transport_api_version: V3
      grpc_service: { envoy_grpc: { cluster_name: meshscope } }
    resource_attributes:
      values:
      - { key: service.name, value: { string_value: my-service } }
      # inbound on the listener of the service itself, gateway at the edge
      - { key: meshscope.direction, value: { string_value: outbound } }
    attributes:
      values:
${fields.join("\n")}`;
}

function envoyAls(): string {
	return `# http_connection_manager; for tcp_proxy tcp_grpc and TcpGrpcAccessLogConfig:
access_log:
- name: envoy.access_loggers.http_grpc
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig
    common_config:
      # the word says on which side of the proxy: outbound or inbound
      log_name: my-service-outbound
      transport_api_version: V3
      grpc_service: { envoy_grpc: { cluster_name: meshscope } }
      # what the service has no fields for; operators need Envoy 1.37 or later
      custom_tags:
      - { tag: service.name, literal: { value: my-service } }
      - { tag: trace_id, value: "%TRACE_ID%" }
      - { tag: meshscope.tls.reported, literal: { value: "1" } }
      - { tag: upstream_tls_version, value: "%UPSTREAM_TLS_VERSION%" }
      - { tag: upstream_peer_uri_san, value: "%UPSTREAM_PEER_URI_SAN%" }
      - { tag: upstream_local_uri_san, value: "%UPSTREAM_LOCAL_URI_SAN%" }`;
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

function linkerd(): string {
	return `scrape:
  interval: 5s
  # who counted: here the name and namespace of a Kubernetes Service
  relabel: ^(?<workload>[^.]+)[.](?<namespace>[^.]+)[.]svc
  targets:
  # the admin port of each proxy
  - http://web.emojivoto.svc:4191/metrics
  - http://voting.emojivoto.svc:4191/metrics`;
}

/** Plaintext, so that it works at once; certificates need a control plane. */
function shim(grpc: IngestAddress): string {
	return `cat > mesh.yaml <<END
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
# STRICT for mutual TLS: docs/mtls.md says where certificates come from
spec: {mtls: {mode: DISABLE}}
END
npx meshscope proxy --service default/my-service --inbound 127.0.0.1:15101=127.0.0.1:8080 \\
  --mesh mesh.yaml --otlp ${urlOf(grpc)}`;
}

/** Without the brackets that an IPv6 address has in a URL. */
function bare(host: string): string {
	return host.replace(/^\[|\]$/g, "");
}

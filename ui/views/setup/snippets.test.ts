import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { ACCESS_LOG_KEYS, ACCESS_LOG_NUMBERS, ACCESS_LOG_RESOURCE_KEYS } from "../../../model/topology/sources/access-log.ts";
import { readIngestAddress } from "../../data/ingest-address.ts";
import { snippets } from "./snippets.ts";

const grpc = readIngestAddress("[::1]:14317", "page")!;
const http = readIngestAddress("https://mesh.example:14318", "page")!;

test("configurations are YAML and name the address as their format wants it", () => {
	const yaml = snippets(grpc, http).filter((snippet) =>
		["envoy", "envoy-access-log", "envoy-als", "istio", "linkerd", "collector"].includes(snippet.key),
	);
	assert.equal(yaml.length, 6);
	for (const snippet of yaml) {
		// Envoy's two parts go to different places of its configuration.
		for (const part of snippet.code.split(/\n\n(?=# )/)) {
			for (const document of parseAllDocuments(part)) assert.deepEqual(document.errors, [], snippet.key);
		}
	}
	const codeOf = (key: string): string => snippets(grpc, http).find((snippet) => snippet.key === key)!.code;
	assert.ok(codeOf("envoy").includes('socket_address: { address: "::1", port_value: 14317 }'));
	assert.ok(codeOf("collector").includes('endpoint: "[::1]:14317"\n    tls: { insecure: true }'));
	assert.ok(codeOf("sdk").includes("OTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]:14317"));
	assert.ok(codeOf("curl").includes("https://mesh.example:14318/v1/traces"));
});

test("what Envoy's access log is told to write is what an edge is read from", () => {
	const { code } = snippets(grpc, http).find((snippet) => snippet.key === "envoy-access-log")!;
	const { access_log: loggers } = parse(code) as { access_log: { typed_config: AccessLogConfig }[] };
	const { attributes, resource_attributes: resource } = loggers[0]!.typed_config;
	const written = new Set([...attributes.values, ...resource.values].map(({ key }) => key));
	const wanted = [
		"log_type",
		"response_code",
		"grpc_status",
		"response_flags",
		"attempts",
		"upstream_cluster",
		"upstream_host",
	];
	for (const key of wanted) assert.ok(written.has(key) && ACCESS_LOG_KEYS.has(key), key);
	for (const { key } of attributes.values)
		assert.ok(key === "authority" || ACCESS_LOG_KEYS.has(key) || ACCESS_LOG_NUMBERS.has(key), `${key} is read by nobody`);
	for (const { key } of resource.values) assert.ok(ACCESS_LOG_RESOURCE_KEYS.has(key), key);
});

interface AccessLogConfig {
	readonly attributes: { readonly values: readonly { readonly key: string }[] };
	readonly resource_attributes: { readonly values: readonly { readonly key: string }[] };
}

test("without gRPC the snippets use HTTP, and without either there are none", () => {
	const onlyHttp = snippets(undefined, http);
	assert.deepEqual(
		onlyHttp.map((snippet) => snippet.key),
		["sdk", "collector", "curl"],
	);
	assert.ok(onlyHttp[0]!.code.includes("http/protobuf"));
	assert.ok(onlyHttp[1]!.code.includes("otlphttp/meshscope"));
	assert.deepEqual(snippets(undefined, undefined), []);
});

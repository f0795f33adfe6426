import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { readIngestAddress } from "../../data/ingest-address.ts";
import { snippets } from "./snippets.ts";

const grpc = readIngestAddress("[::1]:14317", "page")!;
const http = readIngestAddress("https://mesh.example:14318", "page")!;

test("configurations are YAML and name the address as their format wants it", () => {
	const yaml = snippets(grpc, http).filter((snippet) => ["envoy", "istio", "collector"].includes(snippet.key));
	assert.equal(yaml.length, 3);
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

import assert from "node:assert/strict";
import { test } from "node:test";
import { readIngestAddress, urlOf } from "./ingest-address.ts";

test("addresses are read with and without a scheme", () => {
	assert.deepEqual(readIngestAddress("127.0.0.1:4317", "page"), { host: "127.0.0.1", port: 4317, secure: false });
	assert.deepEqual(readIngestAddress("https://mesh.example:4318", "page"), { host: "mesh.example", port: 4318, secure: true });
	assert.deepEqual(readIngestAddress("[::1]:4317", "page"), { host: "[::1]", port: 4317, secure: false });
});

test("an address of every interface is reached under the page's host", () => {
	assert.equal(urlOf(readIngestAddress("0.0.0.0:4318", "mesh.example")!), "http://mesh.example:4318");
	assert.equal(urlOf(readIngestAddress("[::]:4318", "mesh.example")!), "http://mesh.example:4318");
});

test("what is no address yields none", () => {
	assert.equal(readIngestAddress(undefined, "page"), undefined);
	assert.equal(readIngestAddress("off", "page"), undefined);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request, type RequestOptions } from "node:https";
import { test } from "node:test";
import { startCannedApi } from "./canned-server.ts";

const pem = (name: string): string => readFileSync(new URL(`../test/conformance/tls/${name}`, import.meta.url), "utf8");
const tls = { certPem: pem("server.pem"), keyPem: pem("server.key") };

function status(url: string, options: RequestOptions): Promise<number | undefined> {
	const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
	const sent = request(url, { agent: false, ca: pem("ca.pem"), servername: "localhost", ...options }, (response) => {
		response.resume();
		resolve(response.statusCode);
	});
	sent.on("error", reject);
	sent.end();
	return promise;
}

test("with a certificate it answers over TLS, and its guards hold there too", async (t) => {
	const api = await startCannedApi(t, { tls });
	assert.match(api.url, /^https:/);
	assert.equal(await status(`${api.url}/healthz`, {}), 200);
	assert.equal(await status(`${api.url}/healthz`, { headers: { host: "evil.example" } }), 403);
});

test("TLS below 1.2 is not spoken", async (t) => {
	const api = await startCannedApi(t, { tls });
	await assert.rejects(
		status(`${api.url}/healthz`, { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }),
	);
});

test("with a client authority, only its clients are answered", async (t) => {
	const api = await startCannedApi(t, { tls: { ...tls, clientCaPem: pem("ca.pem") } });
	await assert.rejects(status(`${api.url}/healthz`, {}));
	assert.equal(await status(`${api.url}/healthz`, { cert: pem("client.pem"), key: pem("client.key") }), 200);
});

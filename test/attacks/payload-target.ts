/**
 * What the payload attacks run against: the real server in a process of its own, started once a file. After each attack it still
 * runs, has logged no fault, has grown by less than 200 MB at its highest, and stores and serves the next request.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { callHttp, type HttpAnswer, JSON_TYPE, PROTOBUF } from "../../collector/receivers/test-kit.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { protobufjsEncode } from "../../store/conformance/otlp-arbitraries.ts";
import type { Signal } from "../../store/store.ts";
import { decodeResponse, REJECTED } from "../conformance/otlp-messages.ts";
import { getSpans } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";

export const MAX_GROWTH_BYTES = 200e6;

const directory = await mkdtemp(path.join(tmpdir(), "meshscope-payload-"));
export const server = await startServer({ dataDirectory: directory });

export async function statusField(name: "VmRSS" | "VmHWM"): Promise<number> {
	const text = await readFile(`/proc/${server.pid}/status`, "utf8");
	return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1]) * 1024;
}

export function attack(title: string, run: () => Promise<void>, maxGrowthBytes = MAX_GROWTH_BYTES): void {
	test(title, async () => {
		const rssBytes = await statusField("VmRSS");
		// Sets the high-water mark back to what is resident now.
		await writeFile(`/proc/${server.pid}/clear_refs`, "5");
		await run();
		await assertServed();
		const growth = (await statusField("VmHWM")) - rssBytes;
		assert.ok(growth < maxGrowthBytes, `grew by ${(growth / 1e6).toFixed(0)} MB`);
		assert.equal(server.ended(), undefined);
		assert.doesNotMatch(server.said(), /"level":"?(?:50|60|error|fatal)|uncaught|unhandled|\berror:|\n\s+at /i);
	});
}

let served = 0;

/** A batch is acknowledged, and what it holds is found. */
async function assertServed(): Promise<void> {
	const id = traceId(++served, "5e17ed");
	assert.deepEqual(await send(spansOf("served", [{ traceId: id }])), {});
	assert.equal((await getSpans(server.addresses.http, id)).length, 1);
}

export const NOW_NS = BigInt(Date.now()) * 1_000_000n;

export function traceId(number: number, prefix: string): string {
	return prefix + number.toString(16).padStart(32 - prefix.length, "0");
}

export function spanId(number: number): string {
	return (number + 1).toString(16).padStart(16, "0");
}

export type Json = Readonly<Record<string, unknown>>;

/** Span `i` gets id, name and times of its own unless it says otherwise. */
export function spansOf(service: string, spans: readonly Json[]): Json {
	const full = spans.map((span, i) => ({
		spanId: spanId(i),
		name: "op",
		kind: 2,
		startTimeUnixNano: String(NOW_NS),
		endTimeUnixNano: String(NOW_NS + 1_000_000n),
		...span,
	}));
	return { resourceSpans: [{ resource: { attributes: [text("service.name", service)] }, scopeSpans: [{ spans: full }] }] };
}

export function text(key: string, value: string): Json {
	return { key, value: { stringValue: value } };
}

const MESSAGE = { traces: "TracesData", logs: "LogsData", metrics: "MetricsData" } as const;

export function encode(signal: Signal, json: Json): Uint8Array {
	return protobufjsEncode(MESSAGE[signal], json);
}

export function post(
	body: Uint8Array | string,
	signal: Signal = "traces",
	headers: Record<string, string> = PROTOBUF,
): Promise<HttpAnswer> {
	return callHttp({ address: server.addresses.otlpHttp, path: `/v1/${signal}`, headers, body });
}

/** The answer's fields; fails unless the batch was accepted. */
export async function sendBytes(
	body: Uint8Array,
	signal: Signal = "traces",
	headers: Record<string, string> = PROTOBUF,
): Promise<Json> {
	const answer = await post(body, signal, headers);
	assert.equal(answer.status, 200, answer.body.toString("latin1"));
	return decodeResponse(signal, answer.body);
}

export async function send(json: Json, signal: Signal = "traces"): Promise<Json> {
	return sendBytes(encode(signal, json), signal);
}

/** As a browserless SDK would: the same message as JSON, ids in hex. */
export async function sendJson(json: Json, signal: Signal = "traces"): Promise<Json> {
	const answer = await post(JSON.stringify(json), signal, JSON_TYPE);
	assert.equal(answer.status, 200, answer.body.toString());
	return JSON.parse(answer.body.toString()) as Json;
}

export function assertRejected(answer: Json, count: number, reason: string, signal: Signal = "traces"): void {
	const { partialSuccess } = answer as { readonly partialSuccess?: Readonly<Record<string, unknown>> };
	assert.equal(String(partialSuccess?.[REJECTED[signal]]), String(count));
	assert.match(String(partialSuccess?.["errorMessage"]), new RegExp(`${count} ${reason}`));
}

/** A request whose one scope group holds `unit` over and over. */
export function repeatedSpans(unitHex: string, count: number): Uint8Array {
	const unit = Buffer.from(unitHex, "hex");
	const spans = Buffer.alloc(unit.length * count);
	for (let at = 0; at < spans.length; at += unit.length) unit.copy(spans, at);
	const writer = new WireWriter(spans.length + 64);
	const group = writer.begin(1);
	const scope = writer.begin(2);
	writer.raw(spans);
	writer.end(scope);
	writer.end(group);
	return writer.finish();
}

before(async () => {
	// Warm, so that growth is the attack's and not that of code that is compiled when it is first needed.
	for (let i = 0; i < 20; i++) await assertServed();
});

after(async () => {
	await server.stop();
	await rm(directory, { recursive: true, force: true });
});

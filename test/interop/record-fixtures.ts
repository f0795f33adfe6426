/**
 * Records test/fixtures/ anew: `node test/interop/record-fixtures.ts`. Every sender runs against the capture receiver; what it sent is
 * written as it came, after decompression. Run it when a sender's version changes, and commit the new folder beside the old one.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { FIXTURES_FOLDER } from "../fixtures/fixtures.ts";
import type { EmitterAbout, FixtureAbout, FixtureContents } from "../fixtures/fixtures.ts";
import { startCapture } from "./capture.ts";
import type { Capture, CapturedPayload } from "./capture.ts";
import { startEnvoy } from "./envoy/run.ts";
import { ENVOY_VERSION, PYTHON_SDK_VERSION, fetchEnvoy } from "./fetch/python.ts";
import { TELEMETRYGEN_VERSION, fetchTelemetrygen } from "./fetch/telemetrygen.ts";
import { decodePayload, logsOf, metricsOf, spansOf } from "./otlp.ts";
import { JS_SDK_VERSION, PROTOCOLS, sendWithJsSdk } from "./senders/js-sdk.ts";
import { PYTHON_PROTOCOLS, sendWithPythonSdk } from "./senders/python-sdk.ts";
import { sendWithTelemetrygen } from "./senders/telemetrygen.ts";

const BASE_TIME_NS = 1_790_000_000_000_000_000n;
const ENVOY_REQUESTS = 5;

await recordJsSdk();
await recordPythonSdk();
await recordEnvoy();
await recordTelemetrygen();

async function recordJsSdk(): Promise<void> {
	const fixtures = [];
	for (const protocol of PROTOCOLS) {
		const payloads = await captured(async (capture) => {
			await sendWithJsSdk({
				...capture,
				protocol,
				compression: "none",
				serviceName: "interop-js",
				baseTimeNs: BASE_TIME_NS,
			});
		});
		fixtures.push(...(await writeFixtures(`otel-js-${JS_SDK_VERSION}`, payloads, variantOf(protocol))));
	}
	await writeAbout({
		emitter: "otel-js",
		version: JS_SDK_VERSION,
		made: "test/interop/senders/js-sdk.ts: the load of load.ts through the SDK's own exporters",
		fixtures,
	});
}

async function recordPythonSdk(): Promise<void> {
	const fixtures = [];
	for (const protocol of PYTHON_PROTOCOLS) {
		const payloads = await captured(async (capture) => {
			await sendWithPythonSdk({
				...capture,
				protocol,
				compression: "none",
				serviceName: "interop-python",
				baseTimeNs: BASE_TIME_NS,
			});
		});
		fixtures.push(...(await writeFixtures(`otel-python-${PYTHON_SDK_VERSION}`, payloads, variantOf(protocol))));
	}
	await writeAbout({
		emitter: "otel-python",
		version: PYTHON_SDK_VERSION,
		made: "test/interop/senders/python_sdk.py: the load of load.ts through the SDK's own exporters",
		fixtures,
	});
}

async function recordEnvoy(): Promise<void> {
	const fixtures = [];
	for (const pairName of ["mutualTls", "plaintext"] as const) {
		const payloads = await captured(async (capture) => {
			const folder = await mkdtemp(path.join(tmpdir(), "meshscope-envoy-"));
			const envoy = await startEnvoy(await fetchEnvoy(), folder, capture);
			for (let i = 0; i < ENVOY_REQUESTS; i++)
				await envoy.send(envoy[pairName], i === ENVOY_REQUESTS - 1 ? "/fail" : `/orders/${i}`);
			await until(
				() =>
					countRecords(capture.payloads, "traces") === 2 * ENVOY_REQUESTS &&
					countRecords(capture.payloads, "logs") === 2 * ENVOY_REQUESTS,
			);
			await envoy.stop();
			await rm(folder, { recursive: true });
		});
		const pair = pairName === "mutualTls" ? "mtls" : "plaintext";
		fixtures.push(
			...(await writeFixtures(
				`envoy-${ENVOY_VERSION}`,
				payloads.filter((p) => p.transport === "grpc"),
				`${pair}-grpc`,
			)),
		);
		fixtures.push(
			...(await writeFixtures(
				`envoy-${ENVOY_VERSION}`,
				payloads.filter((p) => p.transport === "http"),
				`${pair}-http`,
			)),
		);
	}
	await writeAbout({
		emitter: "envoy",
		version: ENVOY_VERSION,
		made:
			`test/interop/envoy/bootstrap.yaml: ${ENVOY_REQUESTS} requests through a pair of sidecars, the last answered 500. ` +
			"The frontend sends its spans over gRPC, the backend over HTTP; both send access logs over gRPC.",
		fixtures,
	});
}

async function recordTelemetrygen(): Promise<void> {
	const binary = await fetchTelemetrygen();
	if (binary === undefined) {
		console.log("telemetrygen: no Go on this machine, its fixtures stay as they are");
		return;
	}
	const fixtures = [];
	for (const transport of ["grpc", "http"] as const) {
		const payloads = await captured((capture) =>
			sendWithTelemetrygen({ ...capture, binary, transport, serviceName: "interop-gen" }),
		);
		fixtures.push(...(await writeFixtures(`telemetrygen-${TELEMETRYGEN_VERSION}`, payloads, transport)));
	}
	await writeAbout({
		emitter: "telemetrygen",
		version: TELEMETRYGEN_VERSION,
		made: "test/interop/senders/telemetrygen.ts: its traces, logs and metrics commands",
		fixtures,
	});
}

async function captured(send: (capture: Capture) => Promise<void>): Promise<readonly CapturedPayload[]> {
	const capture = await startCapture();
	try {
		await send(capture);
		return capture.payloads;
	} finally {
		await capture.stop();
	}
}

async function writeFixtures(folder: string, payloads: readonly CapturedPayload[], variant: string): Promise<FixtureAbout[]> {
	await mkdir(path.join(FIXTURES_FOLDER, folder), { recursive: true });
	const fixtures: FixtureAbout[] = [];
	for (const signal of ["traces", "logs", "metrics"] as const) {
		const ofSignal = payloads.filter((payload) => payload.signal === signal);
		const first = ofSignal[0];
		if (first === undefined) continue;
		if (first.encoding === "json" && ofSignal.length > 1) throw new Error("JSON payloads cannot be concatenated");
		const bytes = Buffer.concat(ofSignal.map((payload) => payload.bytes));
		const file = `${signal}-${variant}.${first.encoding}.bin`;
		await writeFile(path.join(FIXTURES_FOLDER, folder, file), bytes);
		const { transport, encoding, userAgent } = first;
		const contains = contentsOf({ ...first, bytes });
		fixtures.push({ file, signal, encoding, transport, requests: ofSignal.length, userAgent, contains });
		console.log(folder, file, bytes.length, JSON.stringify(contains));
	}
	return fixtures;
}

async function writeAbout(about: EmitterAbout): Promise<void> {
	await writeFile(
		path.join(FIXTURES_FOLDER, `${about.emitter}-${about.version}`, "about.json"),
		`${JSON.stringify(about, undefined, "\t")}\n`,
	);
}

function contentsOf(payload: CapturedPayload): FixtureContents {
	const data = decodePayload(payload.signal, payload.encoding, payload.bytes);
	if (payload.signal === "traces") {
		const spans = spansOf(data);
		return {
			resources: data.resourceSpans?.length ?? 0,
			spans: spans.length,
			spanNames: [...new Set(spans.map(({ span }) => span.name))].sort(),
		};
	}
	if (payload.signal === "logs") return { resources: data.resourceLogs?.length ?? 0, logs: logsOf(data).length };
	const metrics = metricsOf(data);
	return {
		resources: data.resourceMetrics?.length ?? 0,
		metrics: metrics.length,
		metricNames: [...new Set(metrics.map((metric) => metric.name))].sort(),
	};
}

function countRecords(payloads: readonly CapturedPayload[], signal: "traces" | "logs"): number {
	return payloads
		.filter((payload) => payload.signal === signal)
		.reduce((sum, { bytes }) => {
			const data = decodePayload(signal, "protobuf", bytes);
			return sum + (signal === "traces" ? spansOf(data).length : logsOf(data).length);
		}, 0);
}

async function until(holds: () => boolean): Promise<void> {
	for (let waitedMs = 0; !holds(); waitedMs += 50) {
		if (waitedMs > 10_000) throw new Error("the expected records did not arrive within 10 s");
		await delay(50);
	}
}

function variantOf(protocol: string): string {
	return protocol.replace("http/protobuf", "http").replace("http/json", "http");
}

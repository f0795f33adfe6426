/**
 * Records test/fixtures/ anew: `node test/interop/record-fixtures.ts`, or of one sender, `… envoy`. Every sender runs against the capture receiver; what it sent is
 * written as it came, after decompression. Run it when a sender's version changes, and commit the new folder beside the old one.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NO_IDENTITY, alsPayload } from "../../collector/decode/envoy-als-identity.ts";
import { envoyAlsToProtobuf } from "../../collector/decode/envoy-als.ts";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { FIXTURES_FOLDER, joinMessages } from "../fixtures/fixtures.ts";
import type { AccessLogFixtureAbout, EmitterAbout, FixtureAbout, FixtureContents } from "../fixtures/fixtures.ts";
import { startCapture } from "./capture.ts";
import type { Capture, CapturedMessage, CapturedPayload } from "./capture.ts";
import { startEnvoy } from "./envoy/run.ts";
import { ENVOY_VERSION, PYTHON_SDK_VERSION, fetchEnvoy } from "./fetch/python.ts";
import { TELEMETRYGEN_VERSION, fetchTelemetrygen } from "./fetch/telemetrygen.ts";
import { decodePayload, logsOf, metricsOf, spansOf } from "./otlp.ts";
import { JS_SDK_VERSION, PROTOCOLS, sendWithJsSdk } from "./senders/js-sdk.ts";
import { PYTHON_PROTOCOLS, sendWithPythonSdk } from "./senders/python-sdk.ts";
import { sendWithTelemetrygen } from "./senders/telemetrygen.ts";

const BASE_TIME_NS = 1_790_000_000_000_000_000n;
const ENVOY_REQUESTS = 5;

const RECORDERS: Readonly<Record<string, () => Promise<void>>> = {
	"otel-js": recordJsSdk,
	"otel-python": recordPythonSdk,
	envoy: recordEnvoy,
	telemetrygen: recordTelemetrygen,
};

const only = process.argv[2];
for (const [sender, record] of Object.entries(RECORDERS)) if (only === undefined || only === sender) await record();

async function recordJsSdk(): Promise<void> {
	const fixtures = [];
	for (const protocol of PROTOCOLS) {
		const { payloads } = await captured(async (capture) => {
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
		const { payloads } = await captured(async (capture) => {
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
	const folder = `envoy-${ENVOY_VERSION}`;
	const fixtures: FixtureAbout[] = [];
	const accessLogs: AccessLogFixtureAbout[] = [];
	for (const pairName of ["mutualTls", "plaintext"] as const) {
		const requests = Array.from({ length: ENVOY_REQUESTS }, (_, i) => (i === ENVOY_REQUESTS - 1 ? "/fail" : `/orders/${i}`));
		const { payloads, accessLogs: messages } = await capturedFromEnvoy(pairName, requests, 2 * ENVOY_REQUESTS);
		const pair = pairName === "mutualTls" ? "mtls" : "plaintext";
		for (const transport of ["grpc", "http"] as const) {
			const ofTransport = payloads.filter((payload) => payload.transport === transport);
			fixtures.push(...(await writeFixtures(folder, ofTransport, `${pair}-${transport}`)));
		}
		accessLogs.push(...(await writeAccessLogs(folder, messages, pair)));
	}
	// Of connections the backend's sidecar sees the requests inside, which are the same as above.
	const { accessLogs: messages } = await capturedFromEnvoy("tcp", ["/orders/0"], 1);
	const tcp = messages.filter(({ bytes }) => bytes.includes("frontend-outbound-tcp"));
	accessLogs.push(...(await writeAccessLogs(folder, tcp, "tcp")));
	await writeAbout({
		emitter: "envoy",
		version: ENVOY_VERSION,
		made:
			`test/interop/envoy/bootstrap.yaml: ${ENVOY_REQUESTS} requests through a pair of sidecars, the last answered 500. ` +
			"The frontend sends its spans over gRPC, the backend over HTTP; both send access logs over gRPC, as OTLP and to the access " +
			"log service. tcp: one connection through a TCP proxy.",
		fixtures,
		accessLogs,
	});
}

/** @param spansAndLogs how many of each arrive over OTLP; the access log service gets as many entries, and one a connection */
async function capturedFromEnvoy(
	pairName: "mutualTls" | "plaintext" | "tcp",
	requests: readonly string[],
	spansAndLogs: number,
): Promise<Capture> {
	return captured(async (capture) => {
		const folder = await mkdtemp(path.join(tmpdir(), "meshscope-envoy-"));
		const envoy = await startEnvoy(await fetchEnvoy(), folder, capture);
		for (const request of requests) await envoy.send(envoy[pairName], request);
		const entries = pairName === "tcp" ? spansAndLogs + 1 : spansAndLogs;
		await until(
			() =>
				countRecords(capture.payloads, "traces") === spansAndLogs &&
				countRecords(capture.payloads, "logs") === spansAndLogs &&
				countEntries(capture.accessLogs) === entries,
		);
		await envoy.stop();
		await rm(folder, { recursive: true });
	});
}

async function writeAccessLogs(
	folder: string,
	messages: readonly CapturedMessage[],
	variant: string,
): Promise<readonly AccessLogFixtureAbout[]> {
	const abouts: AccessLogFixtureAbout[] = [];
	for (const [number, stream] of [...new Set(messages.map((message) => message.stream))].entries()) {
		const ofStream = messages.filter((message) => message.stream === stream);
		const file = `als-${variant}-${number}.bin`;
		await writeFile(path.join(FIXTURES_FOLDER, folder, file), joinMessages(ofStream.map(({ bytes }) => bytes)));
		abouts.push({ file, messages: ofStream.length, entries: countEntries(ofStream) });
		console.log(folder, file, JSON.stringify(abouts.at(-1)));
	}
	return abouts;
}

function countEntries(messages: readonly CapturedMessage[]): number {
	return messages.reduce((sum, { bytes }) => {
		const converted = envoyAlsToProtobuf(alsPayload(bytes, NO_IDENTITY).bytes, DEFAULT_LIMITS);
		return sum + logsOf(decodePayload("logs", "protobuf", converted.bytes)).length;
	}, 0);
}

async function recordTelemetrygen(): Promise<void> {
	const binary = await fetchTelemetrygen();
	if (binary === undefined) {
		console.log("telemetrygen: no Go on this machine, its fixtures stay as they are");
		return;
	}
	const fixtures = [];
	for (const transport of ["grpc", "http"] as const) {
		const { payloads } = await captured((capture) =>
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

async function captured(send: (capture: Capture) => Promise<void>): Promise<Capture> {
	const capture = await startCapture();
	try {
		await send(capture);
		return capture;
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

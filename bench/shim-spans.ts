/**
 * What a span costs the proxy: its own encoder against OpenTelemetry's SDK with the same attributes, both up to the bytes of the
 * export request. Each in a process of its own, interleaved, so that neither heap weighs on the other.
 *
 * `node bench/shim-spans.ts` prints nanoseconds a span (median and spread of the rounds) and the resident memory after them.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type Attributes, ROOT_CONTEXT, SpanKind, TraceFlags, trace as traceApi } from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { type ReadableSpan, type SpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { HttpHop } from "../proxy-shim/telemetry/hop.ts";
import { repeatedAttributes } from "../proxy-shim/telemetry/span-attributes.ts";
import { encodeResource, encodeScope, SpanChunk } from "../proxy-shim/telemetry/span-chunk.ts";
import { SpanEncoder } from "../proxy-shim/telemetry/span-encoder.ts";
import { createTelemetry } from "../proxy-shim/telemetry/telemetry.ts";
import { answering, httpHop, peer } from "../proxy-shim/telemetry/test-kit.ts";
import { createIdSource } from "../proxy-shim/telemetry/trace-ids.ts";
import { spreadOf } from "./statistics.ts";

const SPANS_A_CHUNK = 512;

interface Round {
	readonly nsPerSpan: number;
	readonly rssMb: number;
	readonly bytesPerSpan: number;
}

/** Four callees with three instances each, both directions; ids, times, paths and sizes are new every time. */
function createHops(): (i: number) => HttpHop {
	const ids = createIdSource();
	const edges = Array.from({ length: 12 }, (_, i) => {
		const out = httpHop({
			peer: peer(`callee-${i % 4}`, { address: `10.0.0.${i}` }),
			upstreamCluster: `outbound|80||c${i % 4}`,
		});
		return i % 2 === 0 ? out : answering(out);
	});
	return (i) => {
		const edge = edges[i % edges.length]!;
		return {
			...edge,
			trace: { ...edge.trace, traceId: ids.traceId(), spanId: ids.spanId(), parentSpanId: ids.spanId(), traceState: "" },
			startTimeUnixNano: edge.startTimeUnixNano + BigInt(i) * 1000n,
			durationNs: 500_000 + (i % 1000) * 1000,
			path: `/items/${i % 10_000}`,
			responseBytes: 1024 + (i % 100),
		};
	};
}

type Encode = (hops: readonly HttpHop[]) => number;

function byEncoder(): Encode {
	const resource = encodeResource(httpHop().local, { cluster: "", version: "1" });
	const scope = encodeScope("1");
	const encoder = new SpanEncoder();
	const spare = Buffer.allocUnsafeSlow(1 << 20);
	return (hops) => {
		const chunk = new SpanChunk(resource, scope, spare);
		for (const hop of hops) encoder.append(chunk, hop);
		return chunk.seal().length;
	};
}

/** All that the proxy does with a hop: metrics, span, export queue; the collector is a function that accepts. */
function bySink(): Encode {
	let bytes = 0;
	const telemetry = createTelemetry({
		local: httpHop().local,
		version: "1",
		log: () => undefined,
		client: {
			send(_path, message) {
				bytes = message.length;
				return Promise.resolve({ kind: "accepted", rejected: 0, message: "" });
			},
			close: () => undefined,
		},
	});
	return (hops) => {
		for (const hop of hops) telemetry.http(hop);
		return bytes;
	};
}

function bySdk(): Encode {
	let ended: ReadableSpan[] = [];
	const processor: SpanProcessor = {
		onStart: () => undefined,
		onEnd: (span) => void ended.push(span),
		forceFlush: () => Promise.resolve(),
		shutdown: () => Promise.resolve(),
	};
	const provider = new TracerProvider({
		resource: resourceFromAttributes({ "service.name": "shop", "service.namespace": "demo" }),
		spanProcessors: [processor],
	});
	const tracer = provider.getTracer("meshscope-shim", "1");
	// The repeated ones are at hand, as a proxy that is written with care has them.
	const repeated = new Map<string, Attributes>();
	return (hops) => {
		for (const hop of hops) {
			const key = `${hop.direction}${hop.upstreamCluster}${hop.peer.address}`;
			let attributes = repeated.get(key);
			if (attributes === undefined) repeated.set(key, (attributes = Object.fromEntries(repeatedAttributes(hop))));
			const parent = traceApi.setSpanContext(ROOT_CONTEXT, {
				traceId: hop.trace.traceId,
				spanId: hop.trace.parentSpanId,
				traceFlags: TraceFlags.SAMPLED,
				isRemote: true,
			});
			const startMs = Number(hop.startTimeUnixNano) / 1e6;
			const span = tracer.startSpan(
				hop.method,
				{
					kind: hop.direction === "outbound" ? SpanKind.CLIENT : SpanKind.SERVER,
					startTime: startMs,
					attributes: {
						...attributes,
						"url.path": hop.path,
						"user_agent.original": hop.userAgent,
						"network.peer.port": hop.peer.port,
						"http.request.body.size": hop.requestBytes,
						"http.response.body.size": hop.responseBytes,
						"meshscope.upstream_service_time_ms": hop.upstreamServiceTimeMs,
						"guid:x-request-id": hop.requestId,
					},
				},
				parent,
			);
			span.end(startMs + hop.durationNs / 1e6);
		}
		const bytes = ProtobufTraceSerializer.serializeRequest(ended)!.length;
		ended = [];
		return bytes;
	};
}

async function child(which: string, chunks: number): Promise<void> {
	const hopAt = createHops();
	// As many hops as there may be between two rounds; made before the clock runs.
	const batches = Array.from({ length: 16 }, (_, b) =>
		Array.from({ length: SPANS_A_CHUNK }, (_unused, i) => hopAt(b * SPANS_A_CHUNK + i)),
	);
	const encode = which === "encoder" ? byEncoder() : which === "sink" ? bySink() : bySdk();
	let bytes = 0;
	for (let i = 0; i < chunks / 4; i++) {
		bytes = encode(batches[i % batches.length]!);
		await new Promise(setImmediate);
	}
	const start = process.cpuUsage();
	for (let i = 0; i < chunks; i++) {
		bytes = encode(batches[i % batches.length]!);
		// Answers are taken.
		await new Promise(setImmediate);
	}
	const { user, system } = process.cpuUsage(start);
	const round: Round = {
		nsPerSpan: ((user + system) * 1000) / (chunks * SPANS_A_CHUNK),
		rssMb: process.memoryUsage().rss / 2 ** 20,
		bytesPerSpan: bytes / SPANS_A_CHUNK,
	};
	console.log(JSON.stringify(round));
}

async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			child: { type: "string" },
			chunks: { type: "string", default: "1200" },
			rounds: { type: "string", default: "5" },
		},
	});
	if (values.child !== undefined) return child(values.child, Number(values.chunks));
	console.log(`${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}, Node ${process.version}`);
	const results: Record<string, Round[]> = { encoder: [], sink: [], sdk: [] };
	for (let round = 0; round < Number(values.rounds); round++)
		for (const [which, into] of Object.entries(results)) {
			const args = [fileURLToPath(import.meta.url), "--child", which, "--chunks", values.chunks];
			into.push(JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Round);
		}
	for (const [which, rounds] of Object.entries(results)) {
		const ns = spreadOf(rounds.map(({ nsPerSpan }) => nsPerSpan));
		const rss = spreadOf(rounds.map(({ rssMb }) => rssMb));
		console.log(
			`${which.padEnd(8)} ${ns.median.toFixed(0)} ns of CPU a span (${ns.min.toFixed(0)}–${ns.max.toFixed(0)}), ` +
				`RSS ${rss.median.toFixed(0)} MB, ${rounds[0]!.bytesPerSpan.toFixed(0)} bytes a span`,
		);
	}
}

await main();

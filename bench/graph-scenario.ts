/** What is measured of the graph: queries over the real engine, and how soon after a request its edge is in the answer. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { GraphAnswer } from "../api/contract/topology.ts";
import { joinRollups } from "../model/topology/rollup-reader.ts";
import { openTopologyReader } from "../store/sqlite/topology/reader.ts";
import { openTopologyWriter } from "../store/sqlite/topology/writer.ts";
import { measureGraph } from "./graph.ts";
import { type BenchContext, inDataDirectory, serverOptions } from "./scenarios.ts";
import { type Server, startServer } from "./server.ts";
import { spreadOf } from "./statistics.ts";

const PAIRS = 15;
const ALONE = 3;
const PAIR_BAR_MS = 10_000;
const ALONE_BAR_MS = 40_000;
const ASK_EVERY_MS = 25;
const CLIENT = 3;
const SERVER = 2;

export async function measureGraphQueries(context: BenchContext): Promise<void> {
	await inDataDirectory(context, async (directory) => {
		const nowMs = Date.now();
		// Each bucket is flushed when it ends.
		let clockMs = nowMs;
		const writer = openTopologyWriter({
			directory,
			maxBytes: 10e9,
			keptSinceMs: () => 0,
			join: joinRollups,
			now: () => clockMs,
			log: (_level, message) => context.say(message),
			failpoint: () => {},
		});
		const reader = openTopologyReader(directory);
		const rest = { state: new Uint8Array(0), exemplars: [], certificates: [], addresses: [], counters: [] };
		let commit = 0;
		try {
			const write = (flush: Parameters<Parameters<typeof measureGraph>[1]["write"]>[0]): void => {
				clockMs = Math.min(nowMs, ...flush.rollups.map(({ resolutionMs, bucketMs }) => bucketMs + resolutionMs));
				writer.flush({ ...rest, ...flush, cursor: { window: "w", commit: ++commit } });
				while (writer.maintain(nowMs));
			};
			measureGraph(context.report, { write, reader }, nowMs);
		} finally {
			reader.close();
			writer.close();
		}
	});
}

/** Each request is between services of its own, so that its edge is there when it is there. */
export async function measureVisibility(context: BenchContext): Promise<void> {
	await inDataDirectory(context, async (directory) => {
		const server = await startServer(serverOptions(context, directory));
		try {
			const alone = Promise.all(Array.from({ length: ALONE }, (_, i) => visibleAfterMs(server, `alone-${i}`, "client")));
			const pairs: number[] = [];
			for (let i = 0; i < PAIRS; i++) {
				// Never at the same moment between two flushes.
				await sleep((i * 370) % 1_000);
				pairs.push(await visibleAfterMs(server, `pair-${i}`, "both"));
			}
			for (const [name, values, bar] of [
				["both halves reported", pairs, PAIR_BAR_MS],
				["one half reported", await alone, ALONE_BAR_MS],
			] as const)
				context.report({
					section: "graph",
					name: `from a request's spans to its edge in the API, ${name}`,
					unit: "ms",
					value: spreadOf(values),
					repetitions: values.length,
					bar: { atMost: bar },
				});
		} finally {
			await server.stop();
		}
	});
}

async function visibleAfterMs(server: Server, name: string, halves: "both" | "client"): Promise<number> {
	const bar = halves === "both" ? PAIR_BAR_MS : ALONE_BAR_MS;
	const traceId = randomBytes(16).toString("hex");
	const clientId = randomBytes(8).toString("hex");
	const startedMs = performance.now();
	await sendHalf(server, traceId, clientId, undefined, `${name}-from`, { upstream_cluster: `${name}-to` });
	if (halves === "both")
		await sendHalf(server, traceId, randomBytes(8).toString("hex"), clientId, `${name}-to`, {
			upstream_cluster: "inbound|80||",
		});
	for (;;) {
		const response = await fetch(`${server.http}/api/v1/graph?from=now-10m&to=now`);
		if (!response.ok) throw new Error(`GET /api/v1/graph: ${response.status} ${await response.text()}`);
		const { edges } = (await response.json()) as GraphAnswer;
		const elapsedMs = performance.now() - startedMs;
		if (edges.some(({ source, target }) => source === `${name}-from` && target === `${name}-to`)) return elapsedMs;
		if (elapsedMs > 2 * bar) throw new Error(`the edge of ${name} was not there after ${elapsedMs.toFixed(0)} ms`);
		await sleep(halves === "both" ? ASK_EVERY_MS : 10 * ASK_EVERY_MS);
	}
}

async function sendHalf(
	server: Server,
	traceId: string,
	spanId: string,
	parentSpanId: string | undefined,
	service: string,
	attributes: Readonly<Record<string, string>>,
): Promise<void> {
	const keyValues = (values: Readonly<Record<string, string>>): object[] =>
		Object.entries(values).map(([key, stringValue]) => ({ key, value: { stringValue } }));
	const nowNs = BigInt(Date.now()) * 1_000_000n;
	const span = {
		...{ traceId, spanId, parentSpanId, name: "call", kind: parentSpanId === undefined ? CLIENT : SERVER },
		startTimeUnixNano: String(nowNs - 5_000_000n),
		endTimeUnixNano: String(nowNs),
		attributes: keyValues({ component: "proxy", "http.status_code": "200", ...attributes }),
	};
	const resource = { attributes: keyValues({ "service.name": service }) };
	const response = await fetch(`${server.otlpHttp}/v1/traces`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "envoy" }, spans: [span] }] }] }),
	});
	if (!response.ok) throw new Error(`POST /v1/traces: ${response.status} ${await response.text()}`);
}

/**
 * Calls between services whose two halves are reported apart, and what the graph must say of them in the end.
 *
 * Every batch holds one half of some calls; the other halves come later, in another batch, perhaps after a crash, perhaps never. A
 * batch of which nobody heard is sent again, as an exporter with a persistent queue does, so that in the end each was acknowledged and
 * the graph follows from them alone.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { GraphAnswer } from "../../api/contract/topology.ts";
import { getJson } from "../interop/api.ts";
import { encodeProtobuf } from "../interop/otlp.ts";
import type { Span } from "../interop/otlp.ts";
import type { ServerAddresses } from "../interop/server.ts";
import type { Batch } from "./batches.ts";
import { grpcSender, httpSender } from "./sending.ts";
import type { Outcome } from "./sending.ts";

type PairBatch = Pick<Batch, "signal" | "bytes">;

interface Call {
	readonly edge: number;
	readonly isError: boolean;
	readonly clientNs: number;
	readonly serverNs: number;
	readonly halves: "both" | "client" | "server";
}

export interface PairLoad {
	readonly acked: () => number;
	/** Lets what is in flight end (or fail). */
	stop(): Promise<void>;
}

const EDGES = 12;
const CALLS_A_BATCH = 20;
/** Batches that wait to be sent; then they come before new calls. */
const MAX_PENDING = 30;
const CLIENT = 3;
const SERVER = 2;
/** So long ago that a half is not waited for any more: it is stated alone, and corrected. */
const LONG_AGO_MS = 45_000;
const HISTOGRAM_ERROR = 0.011;

export class PairTraffic {
	private readonly calls: Call[] = [];
	private readonly pending: PairBatch[] = [];
	/** How often each batch is sent until it counts as delivered. */
	private readonly copies: number;
	/** Whether calls of which one half never comes are of now, so that the graph must wait for that half, or of long ago. */
	private readonly lonely: "now" | "long ago";
	private readonly random: () => number;

	constructor(random: () => number, options: { readonly copies?: number; readonly lonely?: "now" | "long ago" } = {}) {
		this.random = random;
		this.copies = options.copies ?? 1;
		this.lonely = options.lonely ?? "long ago";
	}

	get callsMade(): number {
		return this.calls.length;
	}

	/** From two senders at once, one batch at a time each, until it is stopped or the server is gone. */
	start(addresses: ServerAddresses): PairLoad {
		return this.run(addresses, () => this.take());
	}

	/** What waits is sent; rejects when it is not acknowledged. */
	async drain(addresses: ServerAddresses): Promise<void> {
		const load = this.run(addresses, () => this.pending.pop());
		await load.ended;
		assert.equal(this.pending.length, 0, "everything is acknowledged in the end");
	}

	private run(addresses: ServerAddresses, next: () => PairBatch | undefined): PairLoad & { readonly ended: Promise<unknown> } {
		let acked = 0;
		let stopping = false;
		const running = [httpSender(addresses.otlpHttp), grpcSender(addresses.otlpGrpc)].map(async (sender) => {
			try {
				while (!stopping) {
					const batch = next();
					if (batch === undefined) return;
					let outcome: Outcome = { kind: "unknown", reason: "not sent" };
					for (let copy = 0; copy < this.copies; copy++) {
						outcome = await sender.send(batch);
						if (outcome.kind !== "acked") break;
					}
					if (outcome.kind === "acked") acked++;
					else this.pending.push(batch);
					if (outcome.kind === "unknown") return;
				}
			} finally {
				sender.close();
			}
		});
		const ended = Promise.all(running);
		return {
			acked: () => acked,
			ended,
			async stop() {
				stopping = true;
				await ended;
			},
		};
	}

	/** One that waits, or new calls of which one half is sent now. */
	private take(): PairBatch {
		const { pending } = this;
		if (pending.length >= MAX_PENDING || (pending.length > 0 && this.random() < 0.5))
			return pending.splice(Math.floor(this.random() * pending.length), 1)[0]!;
		const [first, second] = this.make();
		pending.push(second);
		return first;
	}

	private make(): [PairBatch, PairBatch] {
		const clients: { readonly edge: number; readonly span: Span }[] = [];
		const servers: { readonly edge: number; readonly span: Span }[] = [];
		const nowMs = Date.now();
		for (let i = 0; i < CALLS_A_BATCH; i++) {
			const dice = this.random();
			const clientNs = Math.round(1e6 * Math.exp(6 * this.random()));
			const call: Call = {
				edge: Math.floor(this.random() * EDGES),
				isError: this.random() < 0.1,
				clientNs,
				serverNs: Math.round(0.8 * clientNs),
				halves: dice < 0.1 ? "client" : dice < 0.2 ? "server" : "both",
			};
			this.calls.push(call);
			const isLongAgo = this.random() < 0.3 || (call.halves !== "both" && this.lonely === "long ago");
			const startMs = nowMs - (isLongAgo ? LONG_AGO_MS : 0);
			const traceId = randomBytes(16).toString("hex");
			const clientId = randomBytes(8).toString("hex");
			if (call.halves !== "server")
				clients.push({ edge: call.edge, span: { traceId, spanId: clientId, ...halfOf(call, CLIENT, startMs) } });
			if (call.halves !== "client")
				servers.push({
					edge: call.edge,
					span: {
						traceId,
						spanId: randomBytes(8).toString("hex"),
						parentSpanId: clientId,
						...halfOf(call, SERVER, startMs),
					},
				});
		}
		const batches: [PairBatch, PairBatch] = [batchOf("from", clients), batchOf("to", servers)];
		return this.random() < 0.5 ? batches : [batches[1], batches[0]];
	}

	/** Throws unless the graph says exactly what was sent. */
	async assertGraph(http: string): Promise<void> {
		const graph = await readGraph(http);
		assert.deepEqual(
			graph.edges.map(({ source, target, requests, errors, evidence, mtls, latencyMs }) => ({
				...{ source, target, requests, errors, evidence },
				mtls: mtls.counts.mutual_tls,
				measured: latencyMs?.count,
			})),
			this.expected(),
		);
		for (const edge of graph.edges) {
			const ownNs = this.callsOf(edge.source);
			for (const [side, shown, exact] of [
				["source", edge.sourceLatencyMs, ownNs.filter(({ halves }) => halves !== "server").map((one) => one.clientNs)],
				[
					"destination",
					edge.destinationLatencyMs,
					ownNs.filter(({ halves }) => halves !== "client").map((one) => one.serverNs),
				],
			] as const) {
				assert.equal(shown?.count, exact.length, `${edge.source}: requests measured at the ${side}`);
				const sorted = exact.toSorted((a, b) => a - b);
				for (const [name, quantile] of [
					["p50", 0.5],
					["p95", 0.95],
					["p99", 0.99],
				] as const) {
					const exactMs = sorted[Math.ceil(quantile * sorted.length) - 1]! / 1e6;
					const isNear = Math.abs(shown[name] - exactMs) <= HISTOGRAM_ERROR * exactMs;
					assert.ok(isNear, `${edge.source} ${side} ${name}: ${shown[name]} ms shown, ${exactMs} ms sent`);
				}
			}
		}
	}

	/** Whether every call is in the graph, alone or as a pair. */
	async isComplete(http: string): Promise<boolean> {
		const { edges } = await readGraph(http);
		const pairs = edges.reduce((sum, { evidence }) => sum + (evidence["pair"] ?? 0), 0);
		const requests = edges.reduce((sum, edge) => sum + edge.requests, 0);
		const isPair = this.calls.filter(({ halves }) => halves === "both").length;
		return requests >= this.calls.length && pairs >= isPair;
	}

	private callsOf(source: string): readonly Call[] {
		return this.calls.filter(({ edge }) => source === `demo/from-${edge}`);
	}

	private expected(): readonly object[] {
		return Array.from({ length: EDGES }, (_, edge) => {
			const own = this.callsOf(`demo/from-${edge}`);
			const evidence: Record<string, number> = {};
			for (const { halves } of own) {
				const rule = { both: "pair", client: "client-only", server: "server-only" }[halves];
				evidence[rule] = (evidence[rule] ?? 0) + 1;
			}
			return {
				source: `demo/from-${edge}`,
				target: `demo/to-${edge}`,
				requests: own.length,
				errors: own.filter(({ isError }) => isError).length,
				evidence,
				mtls: own.length,
				// An edge's latency is that of one side: requests that the other one alone reported are not in it.
				measured: own.filter(({ halves }) => halves !== "server").length,
			};
		}).sort((a, b) => (a.source < b.source ? -1 : 1));
	}
}

async function readGraph(http: string): Promise<GraphAnswer> {
	return (await getJson(http, "/api/v1/graph?from=now-2h&to=now")) as GraphAnswer;
}

function identityOf(service: string): string {
	return `spiffe://demo.local/ns/demo/sa/${service}`;
}

type HalfSpan = Omit<Span, "traceId" | "spanId">;

function halfOf(call: Call, kind: typeof CLIENT | typeof SERVER, startMs: number): HalfSpan {
	const { edge, isError, clientNs, serverNs } = call;
	const offsetNs = BigInt(kind === CLIENT ? 0 : Math.round((clientNs - serverNs) / 2));
	const startNs = BigInt(startMs) * 1_000_000n + offsetNs;
	const leg = kind === CLIENT ? "upstream" : "downstream";
	const [peer, local] = kind === CLIENT ? ["to", "from"] : ["from", "to"];
	const attributes = {
		component: "proxy",
		"http.status_code": isError ? "503" : "200",
		upstream_cluster: kind === CLIENT ? `outbound|80||to-${edge}.demo.svc.cluster.local` : "inbound|80||",
		"meshscope.tls.reported": "1",
		[`meshscope.${leg}.tls.version`]: "TLSv1.3",
		[`meshscope.${leg}.peer.uri_san`]: identityOf(`${peer}-${edge}`),
		[`meshscope.${leg}.local.uri_san`]: identityOf(`${local}-${edge}`),
	};
	return {
		name: kind === CLIENT ? "egress" : "ingress",
		kind,
		startTimeUnixNano: String(startNs),
		endTimeUnixNano: String(startNs + BigInt(kind === CLIENT ? clientNs : serverNs)),
		attributes: Object.entries(attributes).map(([key, stringValue]) => ({ key, value: { stringValue } })),
	};
}

function batchOf(side: "from" | "to", halves: readonly { readonly edge: number; readonly span: Span }[]): PairBatch {
	const resourceSpans = [...Map.groupBy(halves, ({ edge }) => edge)].map(([edge, own]) => ({
		resource: {
			attributes: [
				{ key: "service.name", value: { stringValue: `${side}-${edge}` } },
				{ key: "k8s.namespace.name", value: { stringValue: "demo" } },
			],
		},
		scopeSpans: [{ scope: { name: "envoy" }, spans: own.map(({ span }) => span) }],
	}));
	return { signal: "traces", bytes: encodeProtobuf("traces", { resourceSpans }) };
}

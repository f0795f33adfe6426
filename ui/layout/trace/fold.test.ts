import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { buildWaterfall } from "../waterfall.ts";
import type { Waterfall } from "../waterfall.ts";
import { callParts } from "./call-parts.ts";
import { callsOf, hasProxies } from "./calls.ts";
import type { CallHop } from "./calls.ts";
import { foldCalls, headOf, membersAt } from "./fold.ts";
import type { FoldedWaterfall } from "./fold.ts";

const ORIGIN_NS = 1_790_000_000_000_000_000n;
const CLIENT = 3;
const SERVER = 2;

interface TestSpan {
	readonly id: string;
	readonly parent?: string;
	readonly service: string;
	readonly kind: number;
	readonly from: number;
	readonly to: number;
	readonly name?: string;
	readonly failed?: boolean;
	readonly scope?: string;
}

function waterfallOf(spans: readonly TestSpan[]): Waterfall {
	return buildWaterfall({
		resourceSpans: spans.map(({ id, parent, service, kind, from, to, name = "GET /", failed = false, scope = "" }) => ({
			resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
			scopeSpans: [
				{
					scope: { name: scope },
					spans: [
						{
							spanId: id,
							...(parent === undefined ? {} : { parentSpanId: parent }),
							name,
							kind,
							startTimeUnixNano: String(ORIGIN_NS + BigInt(from)),
							endTimeUnixNano: String(ORIGIN_NS + BigInt(to)),
							...(failed ? { status: { code: 2 } } : {}),
						},
					],
				},
			],
		})),
	});
}

function hopOf(spans: Partial<CallHop["spans"]>, more: Partial<CallHop> = {}): CallHop {
	return {
		edgeId: "6faeb2e1ed26185d",
		source: "service:/shop/gateway",
		target: "service:/shop/cart",
		evidence: "pair",
		mtls: {
			status: "mutual_tls",
			source: "mutual_tls",
			destination: "mutual_tls",
			sourcePrincipal: "",
			destinationPrincipal: "",
			tlsVersion: "",
			cipher: "",
			verifiedBy: "server",
		},
		attempts: 1,
		spans: {
			source: undefined,
			destination: undefined,
			sourceApp: undefined,
			destinationApp: undefined,
			waypoint: undefined,
			...spans,
		},
		...more,
	};
}

/** `service@depth(members)` of each row. */
function outline(folded: FoldedWaterfall): string[] {
	return Array.from({ length: folded.count }, (_, row) => {
		const names = [...membersAt(folded, row)].map((at) => folded.whole.spans[at]!.spanId);
		return `${folded.services[folded.service[row]!]}@${folded.depth[row]}(${names.join(" ")})`;
	});
}

function fold(waterfall: Waterfall, hops: readonly CallHop[]): FoldedWaterfall {
	return foldCalls(waterfall, callsOf(waterfall, hops), () => true);
}

/** An app calls another one through both sidecars; the other asks a database. */
const THROUGH_SIDECARS: readonly TestSpan[] = [
	{ id: "a1", service: "gateway", kind: SERVER, from: 0, to: 100 },
	{ id: "b1", parent: "a1", service: "gateway", kind: CLIENT, from: 10, to: 90 },
	{ id: "b2", parent: "b1", service: "gateway", kind: CLIENT, from: 12, to: 88, scope: "envoy" },
	{ id: "b3", parent: "b2", service: "cart", kind: SERVER, from: 20, to: 80, scope: "envoy" },
	{ id: "b4", parent: "b3", service: "cart", kind: SERVER, from: 25, to: 75 },
	{ id: "c1", parent: "b4", service: "cart", kind: CLIENT, from: 30, to: 60, name: "SELECT" },
];
const SIDECAR_HOP = hopOf({ sourceApp: "b1", source: "b2", destination: "b3", destinationApp: "b4" });

test("app and proxy spans of one call are one row, named after the callee, and its children stand below it", () => {
	const folded = fold(waterfallOf(THROUGH_SIDECARS), [SIDECAR_HOP]);
	assert.deepEqual(outline(folded), ["gateway@0(a1)", "cart@1(b1 b2 b3 b4)", "cart@2(c1)"]);
	assert.deepEqual([...folded.parent], [-1, 0, 1]);
	assert.deepEqual([...folded.subtreeEnd], [3, 3, 3]);
	assert.deepEqual([folded.offsetNs[1], folded.lengthNs[1]], [10, 80]);
	assert.deepEqual([...folded.callAt], [-1, 0, -1]);
	assert.equal(folded.spans[1]!.spanId, "b4");
});

test("a call that is not folded leaves every span a row, and still begins somewhere", () => {
	const waterfall = waterfallOf(THROUGH_SIDECARS);
	const open = foldCalls(waterfall, callsOf(waterfall, [SIDECAR_HOP]), () => false);
	assert.equal(open.count, 6);
	assert.deepEqual([...open.callAt], [-1, 0, -1, -1, -1, -1]);
});

test("the callee's app and what proxies add to it are told apart", () => {
	const waterfall = waterfallOf(THROUGH_SIDECARS);
	const [call] = callsOf(waterfall, [SIDECAR_HOP]);
	const { parts, calleeNs, proxyNs } = callParts(waterfall, call!);
	assert.deepEqual(parts, [
		{ kind: "proxy", fromNs: 12, toNs: 88 },
		{ kind: "callee", fromNs: 25, toNs: 75 },
	]);
	assert.deepEqual([calleeNs, proxyNs, call!.isAppKnown], [50, 26, true]);
});

test("where only proxies tell of a call, the callee's proxy stands for the callee", () => {
	const waterfall = waterfallOf(THROUGH_SIDECARS.filter(({ id }) => id !== "b1" && id !== "b4"));
	const [call] = callsOf(waterfall, [hopOf({ source: "b2", destination: "b3" })]);
	const { calleeNs, proxyNs } = callParts(waterfall, call!);
	assert.deepEqual([calleeNs, proxyNs, call!.isAppKnown], [60, 16, false]);
	assert.ok(hasProxies([call!]));
});

test("a call of which no proxy tells is nothing that must be folded", () => {
	const apps = THROUGH_SIDECARS.filter(({ id }) => id !== "b2" && id !== "b3");
	const waterfall = waterfallOf(apps.map((span) => (span.id === "b4" ? { ...span, parent: "b1" } : span)));
	assert.ok(!hasProxies(callsOf(waterfall, [hopOf({ source: "b1", destination: "b4" })])));
});

const RETRIED: readonly TestSpan[] = [
	{ id: "a1", service: "gateway", kind: SERVER, from: 0, to: 100 },
	{ id: "b1", parent: "a1", service: "gateway", kind: CLIENT, from: 5, to: 20, scope: "envoy", failed: true },
	{ id: "d1", parent: "b1", service: "cart", kind: SERVER, from: 8, to: 15, scope: "envoy", failed: true },
	{ id: "e1", parent: "d1", service: "cart", kind: CLIENT, from: 9, to: 12, name: "SELECT" },
	{ id: "b2", parent: "a1", service: "gateway", kind: CLIENT, from: 25, to: 40, scope: "envoy", failed: true },
	{ id: "x1", parent: "a1", service: "gateway", kind: CLIENT, from: 30, to: 35, name: "other" },
	{ id: "b3", parent: "a1", service: "gateway", kind: CLIENT, from: 45, to: 70, scope: "envoy" },
	{ id: "d3", parent: "b3", service: "cart", kind: SERVER, from: 50, to: 65, scope: "envoy" },
];
const RETRIED_HOPS = [hopOf({ source: "b3", destination: "d3" }, { attempts: 3 }), hopOf({ source: "x1" })];

test("tries of a call are one row with the failed ones marked, and other calls beside them stay", () => {
	const waterfall = waterfallOf(RETRIED);
	const calls = callsOf(waterfall, RETRIED_HOPS);
	const folded = foldCalls(waterfall, calls, () => true);
	assert.deepEqual(outline(folded), ["gateway@0(a1)", "cart@1(b1 d1 b2 b3 d3)", "cart@2(e1)", "gateway@1(x1)"]);
	assert.deepEqual(
		calls[0]!.tries.map((row) => waterfall.spans[row]!.spanId),
		["b1", "b2", "b3"],
	);
	assert.equal(callParts(waterfall, calls[0]!).failedTries, 2);
	assert.equal(folded.failed[1], 0, "the last try went well");
	assert.deepEqual([folded.offsetNs[1], folded.lengthNs[1]], [5, 65]);
});

test("a call whose last try failed has failed", () => {
	const failing = RETRIED.map((span) => (span.id === "b3" ? { ...span, failed: true } : span));
	assert.equal(fold(waterfallOf(failing), RETRIED_HOPS).failed[1], 1);
});

test("several answers to one span are tries of it", () => {
	const waterfall = waterfallOf([
		{ id: "b1", service: "gateway", kind: CLIENT, from: 0, to: 100, scope: "envoy" },
		{ id: "d1", parent: "b1", service: "cart", kind: SERVER, from: 10, to: 30, scope: "envoy", failed: true },
		{ id: "d2", parent: "b1", service: "cart", kind: SERVER, from: 40, to: 90, scope: "envoy" },
	]);
	const [call] = callsOf(waterfall, [hopOf({ source: "b1", destination: "d2" }, { attempts: 2 })]);
	assert.deepEqual(call!.rows, [0, 1, 2]);
	assert.deepEqual(call!.tries, [1, 2]);
});

test("tries that one span tells of have no rows of their own", () => {
	const waterfall = waterfallOf(THROUGH_SIDECARS);
	const [call] = callsOf(waterfall, [{ ...SIDECAR_HOP, attempts: 3 }]);
	assert.deepEqual(call!.tries, []);
	assert.equal(call!.rows.length, 4);
});

test("no more spans are taken for tries than the hop counts", () => {
	const [call] = callsOf(waterfallOf(RETRIED), [hopOf({ source: "b3", destination: "d3" }, { attempts: 2 })]);
	assert.equal(call!.tries.length, 2);
});

test("of a shared id the client's half is the source and the server's the destination", () => {
	const waterfall = waterfallOf([
		{ id: "b1", service: "gateway", kind: CLIENT, from: 0, to: 100, scope: "envoy" },
		{ id: "b1", service: "cart", kind: SERVER, from: 10, to: 90, scope: "envoy" },
	]);
	const folded = fold(waterfall, [hopOf({ source: "b1", destination: "b1" })]);
	assert.deepEqual(outline(folded), ["cart@0(b1 b1)"]);
});

test("between servers the caller's span stays that of the call that it answered", () => {
	const waterfall = waterfallOf([
		{ id: "a1", service: "gateway", kind: SERVER, from: 0, to: 100, scope: "envoy" },
		{ id: "b1", parent: "a1", service: "cart", kind: SERVER, from: 10, to: 90, scope: "envoy" },
	]);
	const calls = callsOf(waterfall, [
		hopOf({ source: "a1", destination: "b1" }, { evidence: "server-server" }),
		hopOf({ destination: "a1" }, { evidence: "server-only" }),
	]);
	assert.deepEqual(
		calls.map(({ rows }) => rows),
		[[1], [0]],
	);
});

test("hops of spans that are not here make no calls", () => {
	assert.deepEqual(callsOf(waterfallOf(THROUGH_SIDECARS), [hopOf({ source: "ffff" })]), []);
});

/** Any tree, any hops over it, of any tries: also such as no server would tell. */
const anyTrace = fc
	.tuple(
		fc.array(
			fc.record({
				above: fc.nat(),
				isRoot: fc.nat(8),
				service: fc.constantFrom("a", "b"),
				kind: fc.constantFrom(SERVER, CLIENT, 1),
				from: fc.integer({ min: 0, max: 60 }),
				length: fc.integer({ min: -5, max: 40 }),
				isTwin: fc.nat(12),
			}),
			{ minLength: 1, maxLength: 50 },
		),
		fc.array(
			fc.record({
				spans: fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
				attempts: fc.integer({ min: 0, max: 5 }),
				isBetweenServers: fc.boolean(),
				isFolded: fc.boolean(),
			}),
			{ maxLength: 12 },
		),
	)
	.map(([sketches, hops]) => {
		const id = (i: number): string => (i + 16).toString(16);
		const spans = sketches.map(({ above, isRoot, service, kind, from, length, isTwin }, i): TestSpan => ({
			id: id(isTwin === 0 && i > 0 ? i - 1 : i),
			...(i === 0 || isRoot === 0 ? {} : { parent: id(above % i) }),
			...{ service, kind, from: from + 5, to: from + 5 + length },
		}));
		// Beyond the spans: an id that is not here.
		const idAt = (n: number): string | undefined => (n % 3 === 0 ? undefined : id(n % (spans.length + 2)));
		return {
			waterfall: waterfallOf(spans),
			folded: hops.map(({ isFolded }) => isFolded),
			hops: hops.map(({ spans: [a, b, c, d, e], attempts, isBetweenServers }) =>
				hopOf(
					{
						source: idAt(a!),
						destination: idAt(b!),
						sourceApp: idAt(c!),
						destinationApp: idAt(d!),
						waypoint: idAt(e!),
					},
					{ attempts, evidence: isBetweenServers ? "server-server" : "pair" },
				),
			),
		};
	});

test("whatever is folded, the rows hold every span exactly once, as a tree in pre-order", () => {
	fc.assert(
		fc.property(anyTrace, ({ waterfall, hops, folded: choice }) => {
			const calls = callsOf(waterfall, hops);
			const folded = foldCalls(waterfall, calls, (call) => choice[call] ?? false);
			const seen = new Uint32Array(waterfall.count);
			for (let row = 0; row < folded.count; row++) {
				for (const at of membersAt(folded, row)) {
					seen[at]!++;
					assert.equal(folded.rowOf[at], row);
				}
				const above = folded.parent[row]!;
				assert.ok(above < row);
				if (above >= 0) {
					assert.ok(folded.subtreeEnd[row]! <= folded.subtreeEnd[above]!);
					assert.ok(row < folded.subtreeEnd[above]!);
				}
				assert.equal(folded.depth[row], above < 0 ? 0 : folded.depth[above]! + 1);
				const parentOfHead = waterfall.parent[headOf(folded, row)]!;
				assert.equal(above, parentOfHead < 0 ? -1 : folded.rowOf[parentOfHead]);
			}
			assert.ok(
				seen.every((times) => times === 1),
				"each span once",
			);
			const shown = new Set(calls.flatMap((_, call) => [...folded.callAt].filter((at) => at === call)));
			assert.equal(shown.size, calls.length, "each call begins at one row");
		}),
	);
});

test("the parts of a call lie inside of its row, and callee and proxies take no longer than it", () => {
	fc.assert(
		fc.property(anyTrace, ({ waterfall, hops }) => {
			const calls = callsOf(waterfall, hops);
			const folded = foldCalls(waterfall, calls, () => true);
			for (let row = 0; row < folded.count; row++) {
				const call = calls[folded.callAt[row]!];
				if (call === undefined) continue;
				const endNs = folded.offsetNs[row]! + folded.lengthNs[row]!;
				const { parts, calleeNs, proxyNs } = callParts(waterfall, call);
				assert.ok(parts.every(({ fromNs, toNs }) => fromNs >= folded.offsetNs[row]! && toNs <= endNs && fromNs <= toNs));
				assert.ok(proxyNs >= 0 && calleeNs >= 0 && calleeNs + proxyNs <= folded.lengthNs[row]!);
			}
		}),
	);
});

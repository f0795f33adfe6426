import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { outlineOf, spanIdentity, SpanSet, type SummarySpan } from "./trace-summary.ts";

function span(spanId: string, parentSpanId: string, startNs: bigint, rest: Partial<SummarySpan> = {}): SummarySpan {
	return { spanId, parentSpanId, startNs, endNs: startNs + 10n, kind: 2, statusCode: 0, service: "s", name: spanId, ...rest };
}

test("the root is the span without a parent, though others begin earlier", () => {
	assert.equal(outlineOf([span("b", "a", 1n), span("a", "", 5n)]).rootName, "a");
	assert.equal(outlineOf([span("b", "a", 1n), span("a", "0000000000000000", 5n)]).rootName, "a");
});

test("without such a span the root is the earliest whose parent is not known", () => {
	assert.equal(outlineOf([span("c", "b", 1n), span("b", "missing", 5n), span("d", "missing too", 4n)]).rootName, "d");
});

test("spans that are each other's parents have the earliest as root", () => {
	assert.equal(outlineOf([span("a", "b", 7n), span("b", "a", 3n)]).rootName, "b");
	assert.equal(outlineOf([span("a", "a", 7n)]).rootName, "a");
});

test("a summary reaches from the earliest start to the latest end and counts errors and services", () => {
	assert.deepEqual(
		outlineOf([
			span("a", "", 100n, { service: "z", statusCode: 2 }),
			span("b", "a", 50n, { endNs: 400n, service: "b" }),
			span("c", "a", 60n, { endNs: 10n, statusCode: 2, service: "b" }),
		]),
		{
			rootService: "z",
			rootName: "a",
			startTimeUnixNano: "50",
			durationNs: 350,
			spanCount: 3,
			errorCount: 2,
			services: ["b", "z"],
		},
	);
});

test("a trace that ends before it begins lasts no time", () => {
	assert.equal(outlineOf([span("a", "", 100n, { endNs: 1n })]).durationNs, 0);
});

test("a summary does not depend on the order of the spans", () => {
	const random = fc.record({
		spanId: fc.constantFrom("a", "b", "c"),
		parentSpanId: fc.constantFrom("", "a", "b", "x"),
		kind: fc.nat({ max: 2 }),
		statusCode: fc.nat({ max: 2 }),
		startNs: fc.bigInt({ min: 0n, max: 3n }),
		endNs: fc.bigInt({ min: 0n, max: 3n }),
		service: fc.constantFrom("s", "t"),
		name: fc.constantFrom("m", "n"),
	});
	fc.assert(
		fc.property(fc.array(random, { minLength: 1, maxLength: 6 }), (spans) => {
			assert.deepEqual(outlineOf(spans), outlineOf(spans.toReversed()));
		}),
	);
});

test("identity is span id, kind, start, end, service and name, and no two of them can run together", () => {
	const one = span("a", "", 1n);
	assert.equal(spanIdentity(one), spanIdentity({ ...one, statusCode: 2, parentSpanId: "p" }));
	const others: readonly Partial<SummarySpan>[] = [
		{ spanId: "b" },
		{ kind: 3 },
		{ startNs: 2n },
		{ endNs: 3n },
		{ service: "t" },
		{ name: "n" },
	];
	for (const change of others) assert.notEqual(spanIdentity(one), spanIdentity({ ...one, ...change }));
	assert.notEqual(spanIdentity({ ...one, service: "a|b", name: "c" }), spanIdentity({ ...one, service: "a", name: "b|c" }));
});

test("of any records, a set keeps the first of each identity, in order", () => {
	const few = fc.record({
		spanId: fc.constantFrom("0000000000000001", "0000000000000002"),
		parentSpanId: fc.constant(""),
		kind: fc.nat(1),
		statusCode: fc.nat(2),
		startNs: fc.bigInt(0n, 1n),
		endNs: fc.bigInt(1n, 2n),
		service: fc.constantFrom("a", "a|"),
		name: fc.constantFrom("|b", "b"),
	});
	fc.assert(
		fc.property(fc.array(few, { maxLength: 60 }), (spans) => {
			const set = new SpanSet();
			const known = new Set<string>();
			const kept = spans.filter((span) => {
				const isNew = !known.has(spanIdentity(span));
				known.add(spanIdentity(span));
				assert.equal(set.add(span), isNew);
				return isNew;
			});
			assert.deepEqual(set.spans, kept);
		}),
	);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRootSampler, rawTraceHeaders, readTraceContext, traceHeaders, type HopTraceStart } from "./trace-context.ts";
import { createIdSource, type IdSource } from "./trace-ids.ts";
import { isFromProxy, readTraceState, withOwnMember, withoutOwnMember } from "./trace-state.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = "b7ad6b7169203331";
const ids: IdSource = {
	traceId: () => "1".repeat(32),
	spanId: () => "2".repeat(16),
	requestId: () => "00000000-0000-4000-8000-000000000000",
};

function start(headers: Readonly<Record<string, string>>, ratio = 1): HopTraceStart {
	return readTraceContext((name) => headers[name], ids, createRootSampler(ratio));
}

function forwarded(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
	return Object.fromEntries(traceHeaders(start(headers)));
}

test("a valid traceparent is continued: its trace, its span as parent, its decision", () => {
	const sampled = start({ traceparent: `00-${TRACE}-${PARENT}-01` });
	assert.deepEqual(
		[sampled.traceId, sampled.parentSpanId, sampled.spanId, sampled.sampled],
		[TRACE, PARENT, "2".repeat(16), true],
	);
	assert.equal(start({ traceparent: `00-${TRACE}-${PARENT}-00` }).sampled, false);
	assert.equal(forwarded({ traceparent: `00-${TRACE}-${PARENT}-00` })["traceparent"], `00-${TRACE}-${"2".repeat(16)}-00`);
});

test("the random flag is passed on, flags that nobody knows are not", () => {
	assert.equal(forwarded({ traceparent: `00-${TRACE}-${PARENT}-03` })["traceparent"]!.slice(-2), "03");
	assert.equal(forwarded({ traceparent: `00-${TRACE}-${PARENT}-ff` })["traceparent"]!.slice(-2), "03");
	assert.equal(forwarded({ traceparent: `cc-${TRACE}-${PARENT}-ff` })["traceparent"]!.slice(-2), "01");
	assert.equal(forwarded({})["traceparent"]!.slice(-2), "03", "our own ids are random");
});

test("a later version is read as far as it is known, and answered in ours", () => {
	for (const header of [`cc-${TRACE}-${PARENT}-01`, `cc-${TRACE}-${PARENT}-01-what-the-future-brings`]) {
		assert.equal(start({ traceparent: header }).traceId, TRACE, header);
		assert.equal(forwarded({ traceparent: header })["traceparent"]!.slice(0, 3), "00-");
	}
	assert.equal(start({ traceparent: `cc-${TRACE}-${PARENT}-01.what` }).parentSpanId, "");
});

test("an invalid traceparent begins a new trace, and its tracestate goes with it", () => {
	for (const header of [
		"",
		"00",
		`ff-${TRACE}-${PARENT}-01`,
		`00-${"0".repeat(32)}-${PARENT}-01`,
		`00-${TRACE}-${"0".repeat(16)}-01`,
		`00-${TRACE.toUpperCase()}-${PARENT}-01`,
		`00-${TRACE}-${PARENT}-0g`,
		`0x-${TRACE}-${PARENT}-01`,
		`00-${TRACE}-${PARENT}-01-more`,
		`00-${TRACE}-${PARENT}-01.`,
		`00-${TRACE}-${PARENT}-1`,
		`00_${TRACE}-${PARENT}-01`,
		`00-${TRACE}-${PARENT}-01,00-${TRACE}-${PARENT}-01`,
	]) {
		const { traceId, parentSpanId, traceState } = start({ traceparent: header, tracestate: "a=1" });
		assert.deepEqual([traceId, parentSpanId, traceState], ["1".repeat(32), "", "ot=th:0"], header);
	}
});

test("tracestate: what the specification allows is inherited, what it forbids is dropped whole", () => {
	const members = Array.from({ length: 33 }, (_, i) => `k${i}=v`);
	for (const [header, expected] of [
		["foo=1,bar=2", "foo=1,bar=2"],
		["foo=1 \t , \t bar=2, , baz=3", "foo=1,bar=2,baz=3"],
		["foo=1,foo=2", "foo=1,foo=2"],
		[`${"z".repeat(256)}=1`, `${"z".repeat(256)}=1`],
		[`${"t".repeat(241)}@${"v".repeat(14)}=1`, `${"t".repeat(241)}@${"v".repeat(14)}=1`],
		["0tenant@sys=a/b:c;d ~", "0tenant@sys=a/b:c;d ~"],
		[members.slice(0, 32).join(","), members.slice(0, 32).join(",")],
		[members.join(","), ""],
		[`${"z".repeat(257)}=1`, ""],
		[`${"t".repeat(242)}@v=1`, ""],
		[`t@${"v".repeat(15)}=1`, ""],
		["FOO=1", ""],
		["foo =1", ""],
		["foo=bar=baz", ""],
		["foo@=1", ""],
		["@foo=1", ""],
		["foo@@bar=1", ""],
		["foo=", ""],
		["foo", ""],
		["foo=1,bar", ""],
		[`foo=${"v".repeat(257)}`, ""],
		["foo=v\u00e4", ""],
		[`a=1,${"b".repeat(200)}=${"c".repeat(250)},`.repeat(20), ""],
	] as const)
		assert.equal(readTraceState(header), expected, header.slice(0, 60));
});

test("our member stands first, replaces an older one of ours, and the last member goes where there are too many", () => {
	assert.equal(withOwnMember("", PARENT), `meshscope=${PARENT}`);
	assert.equal(withOwnMember(`a=1,meshscope=${PARENT},b=2`, "2".repeat(16)), `meshscope=${"2".repeat(16)},a=1,b=2`);
	const full = Array.from({ length: 32 }, (_, i) => `k${i}=v`).join(",");
	assert.equal(withOwnMember(full, PARENT).split(",").length, 32);
	assert.equal(withoutOwnMember(withOwnMember("a=1", PARENT)), "a=1");
	assert.equal(withoutOwnMember(withOwnMember("", PARENT)), "");
});

test("the caller's own proxy is known by its member, unless a span stands between", () => {
	const sent = forwarded({});
	const next = readTraceContext((name) => sent[name], { ...ids, spanId: () => "3".repeat(16) });
	assert.equal(isFromProxy(next.traceState, next.parentSpanId), true);
	const byApp = start({ traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: sent["tracestate"]! });
	assert.equal(isFromProxy(byApp.traceState, byApp.parentSpanId), false);
	assert.equal(isFromProxy("meshscope=", ""), false);
});

test("B3 is read where there is no traceparent, and passed on in the form it came in beside traceparent", () => {
	const single = { b3: `${TRACE}-${PARENT}-1-05e3ac9a4f6e3b90` };
	assert.deepEqual([start(single).traceId, start(single).parentSpanId, start(single).sampled], [TRACE, PARENT, true]);
	assert.equal(forwarded(single)["b3"], `${TRACE}-${"2".repeat(16)}-1-${PARENT}`);
	assert.equal(forwarded(single)["traceparent"], `00-${TRACE}-${"2".repeat(16)}-01`);
	const multi = { "x-b3-traceid": TRACE.slice(16), "x-b3-spanid": PARENT, "x-b3-sampled": "0" };
	assert.deepEqual([start(multi).traceId, start(multi).sampled], ["0".repeat(16) + TRACE.slice(16), false]);
	assert.equal(forwarded(multi)["x-b3-traceid"], "0".repeat(16) + TRACE.slice(16));
	assert.equal(forwarded(multi)["x-b3-parentspanid"], PARENT);
	assert.equal(forwarded(multi)["x-b3-sampled"], "0");
	assert.equal(forwarded(multi)["b3"], undefined);
	assert.equal(
		Object.keys(forwarded({})).some((name) => name.includes("b3")),
		false,
	);
});

test("traceparent goes before B3, and both are told onwards with the same ids", () => {
	const both = { traceparent: `00-${TRACE}-${PARENT}-01`, b3: `${"e".repeat(32)}-${"f".repeat(16)}-0` };
	assert.equal(start(both).traceId, TRACE);
	assert.equal(forwarded(both)["b3"], `${TRACE}-${"2".repeat(16)}-1-${PARENT}`);
});

test("B3's decision alone, its debug flag, and ids that break a rule", () => {
	assert.equal(start({ b3: "0" }).sampled, false);
	assert.equal(start({ b3: "d" }).sampled, true);
	assert.equal(start({ "x-b3-flags": "1", "x-b3-traceid": TRACE, "x-b3-spanid": PARENT }).sampled, true);
	assert.equal(forwarded({ "x-b3-flags": "1", "x-b3-traceid": TRACE, "x-b3-spanid": PARENT })["x-b3-flags"], "1");
	for (const b3 of ["nonsense", `${TRACE}-zzzz-1`, `${"0".repeat(32)}-${PARENT}-1`, "x".repeat(500)])
		assert.equal(start({ b3 }).traceId, "1".repeat(32), b3.slice(0, 40));
	assert.equal(start({ "x-b3-traceid": TRACE, "x-b3-spanid": PARENT }, 0).sampled, false, "a deferred decision is ours");
});

test("x-request-id is kept when it is sane, and made when it is not or is absent", () => {
	assert.equal(start({ "x-request-id": "abc-123" }).requestId, "abc-123");
	for (const bad of ["", "two, ids", 'quote"', "back\\slash", "x".repeat(129), "new\nline"])
		assert.equal(start({ "x-request-id": bad }).requestId, ids.requestId(), JSON.stringify(bad.slice(0, 20)));
	assert.match(createIdSource().requestId(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("a share of new traces is sampled by their own ids, and says how many each stands for", () => {
	const sampler = createRootSampler(0.25);
	assert.equal(sampler.traceState, "ot=th:c");
	const real = createIdSource();
	let sampled = 0;
	for (let i = 0; i < 20_000; i++) if (sampler.isSampled(real.traceId())) sampled++;
	// Eight standard deviations of 20,000 draws.
	assert.ok(Math.abs(sampled - 5_000) < 500, String(sampled));
	assert.equal(createRootSampler(0).isSampled("f".repeat(32)), false);
	assert.equal(createRootSampler(1e-9).isSampled("f".repeat(32)), true);
	assert.equal(createRootSampler(1).traceState, "ot=th:0", "of a share of 1 none is missing, and that is said");
	const kept = readTraceContext(() => undefined, { ...ids, traceId: () => "f".repeat(32) }, sampler);
	assert.deepEqual([kept.sampled, kept.traceState], [true, "ot=th:c"]);
	assert.deepEqual([start({}, 0.25).sampled, start({}, 0.25).traceState], [false, ""]);
});

test("ids are never all zero, whatever the randomness gives", () => {
	const source = createIdSource((bytes) => void bytes.fill(0));
	assert.match(source.traceId(), /^0{31}1$/);
	assert.match(source.spanId(), /^0{15}1$/);
	const real = createIdSource();
	const seen = new Set(Array.from({ length: 5_000 }, () => real.spanId()));
	assert.equal(seen.size, 5_000);
});

test("raw headers are found in any case, and values of one name are combined", () => {
	const get = rawTraceHeaders(["Host", "a", "TraceState", "a=1", "B3", "0", "tracestate", "b=2", "X-Request-ID", "r"]);
	assert.deepEqual(["tracestate", "b3", "x-request-id", "traceparent", "host"].map(get), [
		"a=1,b=2",
		"0",
		"r",
		undefined,
		undefined,
	]);
});

test("no header of any kind breaks it, and what is passed on is valid", () => {
	const text = fc.oneof(
		fc.string(),
		fc.constantFrom(`00-${TRACE}-${PARENT}-01`, `${TRACE}-${PARENT}-1`, TRACE, PARENT, "1", "a=1"),
	);
	const names = [
		"traceparent",
		"tracestate",
		"b3",
		"x-b3-traceid",
		"x-b3-spanid",
		"x-b3-sampled",
		"x-b3-flags",
		"x-request-id",
	];
	fc.assert(
		fc.property(fc.dictionary(fc.constantFrom(...names), text), (headers) => {
			const sent = forwarded(headers as Record<string, string>);
			assert.match(sent["traceparent"]!, /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]$/);
			assert.notEqual(readTraceState(sent["tracestate"]), "");
			assert.match(sent["x-request-id"]!, /^[\x21-\x7e]{1,128}$/);
		}),
		{ numRuns: 3_000 },
	);
});

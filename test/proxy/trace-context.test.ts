/**
 * W3C Trace Context through both proxies to the app, as a table: what is continued, what begins anew, what is inherited. Each hop's span
 * is the child of the one before it, and the app is told of the last.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { once } from "node:events";
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { pair, startApp } from "./rig.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const VALID = `00-${TRACE}-${SPAN}-01`;

interface Case {
	readonly rule: string;
	/** `[name, value, …]`. */
	readonly sent: readonly string[];
	readonly trace: "continued" | "new";
	/** Absent: sampled. */
	readonly sampled?: false;
	/** Beside our own member; absent: of traces whose sampling was decided here that all are kept, otherwise nothing. */
	readonly traceState?: string;
	/** Absent: none of them reaches the app. */
	readonly b3?: "single" | "multi";
	/** Level 2's flag; told where it came, and of traces that begin here. */
	readonly random?: true;
}

const many = (count: number): string => Array.from({ length: count }, (_, i) => `k${i}=v`).join(",");

const CASES: readonly Case[] = [
	{ rule: "nothing begins a trace", sent: [], trace: "new" },
	{ rule: "a valid traceparent is continued", sent: ["traceparent", VALID], trace: "continued" },
	{
		rule: "not sampled stays not sampled",
		sent: ["traceparent", `00-${TRACE}-${SPAN}-00`],
		trace: "continued",
		sampled: false,
	},
	{ rule: "the random flag is kept", sent: ["traceparent", `00-${TRACE}-${SPAN}-03`], trace: "continued", random: true },
	{ rule: "flags that nobody knows are dropped", sent: ["traceparent", `00-${TRACE}-${SPAN}-f9`], trace: "continued" },
	{ rule: "the name counts in any case", sent: ["TraceParent", VALID], trace: "continued" },
	{ rule: "a later version may be longer", sent: ["traceparent", `cc-${TRACE}-${SPAN}-01-what-comes`], trace: "continued" },
	{ rule: "a later version of our length", sent: ["traceparent", `cc-${TRACE}-${SPAN}-01`], trace: "continued" },
	{ rule: "a later version that goes on without a dash", sent: ["traceparent", `cc-${TRACE}-${SPAN}-01x`], trace: "new" },
	{ rule: "version 00 is no longer", sent: ["traceparent", `${VALID}-x`], trace: "new" },
	{ rule: "version ff is none", sent: ["traceparent", `ff-${TRACE}-${SPAN}-01`], trace: "new" },
	{ rule: "a version is hexadecimal", sent: ["traceparent", `0x-${TRACE}-${SPAN}-01`], trace: "new" },
	{ rule: "ids are in lower case", sent: ["traceparent", `00-${TRACE.toUpperCase()}-${SPAN}-01`], trace: "new" },
	{ rule: "a trace id is not zero", sent: ["traceparent", `00-${"0".repeat(32)}-${SPAN}-01`], trace: "new" },
	{ rule: "a parent id is not zero", sent: ["traceparent", `00-${TRACE}-${"0".repeat(16)}-01`], trace: "new" },
	{ rule: "ids have their length", sent: ["traceparent", `00-${TRACE.slice(1)}-${SPAN}-01`], trace: "new" },
	{ rule: "flags have two digits", sent: ["traceparent", `00-${TRACE}-${SPAN}-1`], trace: "new" },
	{ rule: "an empty traceparent is none", sent: ["traceparent", ""], trace: "new" },
	{ rule: "two traceparents are none", sent: ["traceparent", VALID, "traceparent", VALID], trace: "new" },
	{ rule: "a state without its parent is dropped", sent: ["tracestate", "a=1"], trace: "new" },
	{ rule: "a state beside a broken parent is dropped", sent: ["traceparent", `${VALID}-x`, "tracestate", "a=1"], trace: "new" },
	{
		rule: "a state is inherited",
		sent: ["traceparent", VALID, "tracestate", "a=1,b=2"],
		trace: "continued",
		traceState: "a=1,b=2",
	},
	{
		rule: "states of several headers are one, in their order",
		sent: ["traceparent", VALID, "tracestate", "a=1", "x-between", "1", "tracestate", "b=2,c=3"],
		trace: "continued",
		traceState: "a=1,b=2,c=3",
	},
	{
		rule: "duplicate keys are inherited as they are",
		sent: ["traceparent", VALID, "tracestate", "a=1,b=2", "tracestate", "a=3,a=1"],
		trace: "continued",
		traceState: "a=1,b=2,a=3,a=1",
	},
	{
		rule: "white space around members and empty members go",
		sent: ["traceparent", VALID, "tracestate", "a=1 , \t b=2,,", "tracestate", ""],
		trace: "continued",
		traceState: "a=1,b=2",
	},
	{
		rule: "keys may have a tenant",
		sent: ["traceparent", VALID, "tracestate", "t1@sys=1"],
		trace: "continued",
		traceState: "t1@sys=1",
	},
	{
		rule: "a state with a key in upper case is dropped whole",
		sent: ["traceparent", VALID, "tracestate", "a=1,B=2"],
		trace: "continued",
	},
	{
		rule: "a state with a member without a value is dropped whole",
		sent: ["traceparent", VALID, "tracestate", "a=1,b"],
		trace: "continued",
	},
	{
		rule: "a state with two equals signs is dropped whole",
		sent: ["traceparent", VALID, "tracestate", "a=1=2"],
		trace: "continued",
	},
	{ rule: "33 members are dropped whole", sent: ["traceparent", VALID, "tracestate", many(33)], trace: "continued" },
	{
		rule: "of 32 members the last makes room for ours",
		sent: ["traceparent", VALID, "tracestate", many(32)],
		trace: "continued",
		traceState: many(31),
	},
	{
		rule: "an older member of ours is replaced",
		sent: ["traceparent", VALID, "tracestate", `a=1,meshscope=${SPAN}`],
		trace: "continued",
		traceState: "a=1",
	},
	{ rule: "B3 in one header", sent: ["b3", `${TRACE}-${SPAN}-1`], trace: "continued", b3: "single" },
	{ rule: "B3 that says no", sent: ["b3", `${TRACE}-${SPAN}-0`], trace: "continued", sampled: false, b3: "single" },
	{ rule: "B3's no alone", sent: ["b3", "0"], trace: "new", sampled: false, b3: "single" },
	{
		rule: "B3 in several headers",
		sent: ["X-B3-TraceId", TRACE, "X-B3-SpanId", SPAN, "X-B3-Sampled", "1"],
		trace: "continued",
		b3: "multi",
	},
	{
		rule: "traceparent goes before B3, and B3 is told the same",
		sent: ["b3", `${"e".repeat(32)}-${"f".repeat(16)}-0`, "traceparent", VALID],
		trace: "continued",
		b3: "single",
	},
	{ rule: "B3 that is none is replaced", sent: ["b3", `${TRACE}-zzzz-1`], trace: "new", b3: "single" },
];

async function overHttp1(port: number, sent: readonly string[]): Promise<void> {
	const outgoing = request({ host: "127.0.0.1", port, agent: false, headers: ["host", "orders", ...sent] });
	outgoing.end();
	const [response] = (await once(outgoing, "response")) as [IncomingMessage];
	await text(response);
	assert.equal(response.statusCode, 200);
}

function overHttp2(t: TestContext, port: number): (sent: readonly string[]) => Promise<void> {
	const client = connect(`http://127.0.0.1:${port}`);
	client.on("error", () => {});
	t.after(() => client.destroy());
	return async (sent) => {
		const lower = sent.map((word, i) => (i % 2 === 0 ? word.toLowerCase() : word));
		const pseudo = [":method", "GET", ":scheme", "http", ":authority", "orders", ":path", "/"];
		await text(client.request([...pseudo, ...lower]));
	};
}

for (const caller of ["HTTP/1.1, fast", "HTTP/1.1, correct", "HTTP/2"] as const) {
	test(`trace context through both proxies (${caller})`, async (t) => {
		const seen: (readonly string[])[] = [];
		const app = await startApp(t, (message, response) => {
			seen.push(message.rawHeaders);
			response.end();
		});
		const tier = caller === "HTTP/1.1, correct" ? ("correct" as const) : ("fast" as const);
		const { outbound, sink } = await pair(t, app, { callerParts: { tier }, calleeParts: { tier } });
		const viaHttp2 = caller === "HTTP/2" ? overHttp2(t, outbound.port) : undefined;
		for (const [index, one] of CASES.entries()) {
			await (viaHttp2 === undefined ? overHttp1(outbound.port, one.sent) : viaHttp2(one.sent));
			const client = (await sink.hops("outbound", index + 1))[index]!.trace;
			const server = (await sink.hops("inbound", index + 1))[index]!.trace;
			const headers = seen[index]!;
			const valuesOf = (name: string): readonly string[] =>
				headers.filter((_, i) => i % 2 === 1 && headers[i - 1]!.toLowerCase() === name);
			const wasDecidedHere = one.trace === "new" && one.b3 === undefined;
			const { rule, sampled = true, traceState = wasDecidedHere ? "ot=th:0" : "" } = one;

			if (one.trace === "continued") assert.equal(client.traceId, TRACE, rule);
			else assert.notEqual(client.traceId, TRACE, rule);
			assert.equal(client.parentSpanId, one.trace === "continued" ? SPAN : "", rule);
			assert.equal(server.traceId, client.traceId, rule);
			assert.equal(server.parentSpanId, client.spanId, rule);
			assert.deepEqual([client.sampled, server.sampled], [sampled, sampled], rule);

			const isRandom = one.random === true || one.trace === "new";
			const flags = `0${(sampled ? 1 : 0) + (isRandom ? 2 : 0)}`;
			assert.deepEqual(valuesOf("traceparent"), [`00-${server.traceId}-${server.spanId}-${flags}`], rule);
			const others = traceState === "" ? "" : `,${traceState}`;
			assert.deepEqual(valuesOf("tracestate"), [`meshscope=${server.spanId}${others}`], rule);

			const decision = sampled ? "1" : "0";
			const single = `${server.traceId}-${server.spanId}-${decision}-${client.spanId}`;
			assert.deepEqual(valuesOf("b3"), one.b3 === "single" ? [single] : [], rule);
			const isMulti = one.b3 === "multi";
			assert.deepEqual(valuesOf("x-b3-traceid"), isMulti ? [server.traceId] : [], rule);
			assert.deepEqual(valuesOf("x-b3-spanid"), isMulti ? [server.spanId] : [], rule);
			assert.deepEqual(valuesOf("x-b3-parentspanid"), isMulti ? [client.spanId] : [], rule);
			assert.deepEqual(valuesOf("x-b3-sampled"), isMulti ? [decision] : [], rule);
		}
	});
}

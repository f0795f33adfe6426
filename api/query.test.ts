import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MeshscopeError } from "../model/errors.ts";
import { attributeFilter, limitOf, nearest, readParameters, stepOf, timeRange } from "./query.ts";

const RULES = [
	{ name: "service", repeatable: false },
	{ name: "attr", repeatable: true },
	{ name: "limit", repeatable: false },
	{ name: "from", repeatable: false },
	{ name: "to", repeatable: false },
	{ name: "step", repeatable: false },
];
const NOW_MS = Date.UTC(2026, 0, 1);
const NS = 1_000_000n;

function refusal(run: () => unknown): MeshscopeError {
	try {
		run();
	} catch (error) {
		assert.ok(error instanceof MeshscopeError);
		return error;
	}
	assert.fail("nothing was refused");
}

test("an unknown parameter is refused with the nearest known one", () => {
	const error = refusal(() => readParameters("servce=a", RULES));
	assert.equal(error.code, "invalid_argument");
	assert.match(error.message, /"servce".*did you mean `service`/);
});

test("a parameter near to none is refused with the list", () => {
	assert.match(refusal(() => readParameters("zzzzzzzz=1", RULES)).message, /known are `service`, `attr`/);
});

test("a parameter named __proto__ is unknown, not a prototype", () => {
	assert.match(refusal(() => readParameters("__proto__=1", RULES)).message, /"__proto__"/);
	assert.match(refusal(() => readParameters("constructor=1", RULES)).message, /"constructor"/);
});

test("a parameter may be repeated only where the call says so", () => {
	assert.deepEqual(readParameters("attr=a%3D1&attr=b%3D2", RULES).get("attr"), ["a=1", "b=2"]);
	assert.match(refusal(() => readParameters("service=a&service=b", RULES)).message, /more than once/);
});

test("an empty parameter is refused rather than taken for a filter or for none", () => {
	assert.match(refusal(() => readParameters("service=", RULES)).message, /`service` is empty/);
});

test("the first = splits an attribute, so keys may hold colons and values may hold =", () => {
	assert.deepEqual(attributeFilter("guid:x-request-id=a=b"), { key: "guid:x-request-id", value: "a=b", type: "text" });
	assert.deepEqual(attributeFilter("int:x=5"), { key: "int:x", value: "5", type: "text" });
});

test("the type of an attribute is a prefix of its value, or JSON quotes", () => {
	assert.deepEqual(attributeFilter("k=200"), { key: "k", value: "200", type: "text" });
	assert.deepEqual(attributeFilter('k="200"'), { key: "k", value: "200", type: "string" });
	assert.deepEqual(attributeFilter('k="a\\"b\\u00e9"'), { key: "k", value: 'a"bé', type: "string" });
	assert.deepEqual(attributeFilter("k=string:int:5"), { key: "k", value: "int:5", type: "string" });
	assert.deepEqual(attributeFilter("k=int:-05"), { key: "k", value: "-5", type: "int" });
	assert.deepEqual(attributeFilter("k=double:5e-1"), { key: "k", value: "0.5", type: "double" });
	assert.deepEqual(attributeFilter("k=double:-Infinity"), { key: "k", value: "-Infinity", type: "double" });
	assert.deepEqual(attributeFilter("k=bool:true"), { key: "k", value: "true", type: "bool" });
});

test("quotes that are no whole JSON string, and prefixes that are no type, stand for themselves", () => {
	assert.deepEqual(attributeFilter('k="a'), { key: "k", value: '"a', type: "text" });
	assert.deepEqual(attributeFilter('k="a"b"'), { key: "k", value: '"a"b"', type: "text" });
	assert.deepEqual(attributeFilter("k=http://a"), { key: "k", value: "http://a", type: "text" });
	assert.deepEqual(attributeFilter("k="), { key: "k", value: "", type: "text" });
});

test("a typed value that is not of its type is refused", () => {
	for (const text of ["k=int:a", "k=int:1.5", "k=int:", "k=double:x", "k=double:", "k=bool:yes", "nokey", "=v"]) {
		assert.equal(refusal(() => attributeFilter(text)).code, "invalid_argument", text);
	}
});

test("a string value survives being written in JSON quotes, whatever it holds", () => {
	fc.assert(
		fc.property(fc.string({ unit: "binary" }), (value) => {
			assert.deepEqual(attributeFilter(`k=${JSON.stringify(value)}`), { key: "k", value, type: "string" });
		}),
	);
});

test("the range is the last hour unless said otherwise", () => {
	const range = timeRange(new Map(), NOW_MS, 1);
	assert.deepEqual(range, { fromNs: BigInt(NOW_MS - 3_600_000) * NS, toNs: BigInt(NOW_MS) * NS });
});

test("a range that is backwards, empty or outside 1970 to 2262 is refused", () => {
	const range = (search: string) => () => timeRange(readParameters(search, RULES), NOW_MS, 100_000_000);
	for (const search of ["from=now&to=now-1h", "from=now&to=now", "from=now-9999w", "to=9999999999999999", "from=yesterday"]) {
		assert.equal(refusal(range(search)).code, "invalid_argument", search);
	}
});

test("a range, limit or step beyond its cap is refused, and the message names the cap", () => {
	const error = refusal(() => timeRange(readParameters("from=now-93d", RULES), NOW_MS, 92));
	assert.equal(error.code, "query_too_broad");
	assert.match(error.message, /cap of 92 days/);
	assert.deepEqual(error.details, { parameter: "from", cap: "92d" });
	assert.match(refusal(() => limitOf(readParameters("limit=1001", RULES), 20, 1_000)).message, /the cap is 1000/);
	const parameters = readParameters("step=300ms", RULES);
	assert.match(refusal(() => stepOf(parameters, timeRange(parameters, NOW_MS, 1))).message, /12000 steps; the cap is 11000/);
});

test("a limit is a whole number from 1, however long it is written", () => {
	for (const text of ["0", "-1", "1.5", "1e3", "0x10", "ten", "000"]) {
		assert.equal(refusal(() => limitOf(new Map([["limit", [text]]]), 20, 100)).code, "invalid_argument", text);
	}
	assert.equal(limitOf(new Map([["limit", ["0099"]]]), 20, 100), 99);
	assert.equal(refusal(() => limitOf(new Map([["limit", ["9".repeat(10_000)]]]), 20, 100)).code, "query_too_broad");
});

test("a step of zero or without a unit is refused", () => {
	const range = timeRange(new Map(), NOW_MS, 1);
	for (const text of ["0s", "60", "-1m", "fast"]) {
		assert.equal(refusal(() => stepOf(new Map([["step", [text]]]), range)).code, "invalid_argument", text);
	}
});

test("the nearest name is within a third of its length of edits", () => {
	assert.equal(nearest("operaton", ["service", "operation"]), "operation");
	assert.equal(nearest("MINDURATION", ["minDuration", "maxDuration"]), "minDuration");
	assert.equal(nearest("banana", ["service", "operation"]), undefined);
	assert.equal(nearest("s".repeat(16_000), ["service"]), undefined);
});

test("whatever the query string, it is read or refused with a code", () => {
	fc.assert(
		fc.property(fc.string({ unit: "binary", maxLength: 200 }), (search) => {
			try {
				const parameters = readParameters(search, RULES);
				limitOf(parameters, 20, 1_000);
				stepOf(parameters, timeRange(parameters, NOW_MS, 92));
				(parameters.get("attr") ?? []).map(attributeFilter);
			} catch (error) {
				assert.ok(error instanceof MeshscopeError, String(error));
			}
		}),
		{ numRuns: 5_000 },
	);
});

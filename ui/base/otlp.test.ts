import assert from "node:assert/strict";
import { test } from "node:test";
import { nanosOf, serviceNameOf, textOfValue, typeOfValue } from "./otlp.ts";
import type { AnyValue } from "./otlp.ts";

test("every type of value reads as text, and 64-bit integers keep their digits", () => {
	const cases: readonly (readonly [AnyValue | undefined, string, string])[] = [
		[{ stringValue: "a b" }, "a b", "string"],
		[{ boolValue: false }, "false", "bool"],
		[{ intValue: "9223372036854775807" }, "9223372036854775807", "int"],
		[{ intValue: 7 }, "7", "int"],
		[{ doubleValue: 0.5 }, "0.5", "double"],
		[{ doubleValue: "NaN" }, "NaN", "double"],
		[{ bytesValue: "3q2+7w==" }, "base64:3q2+7w==", "bytes"],
		[{ arrayValue: { values: [{ stringValue: "a" }, { intValue: "2" }] } }, '["a","2"]', "array"],
		[{ arrayValue: {} }, "[]", "array"],
		[{ kvlistValue: { values: [{ key: "k", value: { boolValue: true } }] } }, '{"k":true}', "map"],
		[{}, "", "empty"],
		[undefined, "", "empty"],
	];
	for (const [value, text, type] of cases) {
		assert.equal(textOfValue(value), text);
		assert.equal(typeOfValue(value), type);
	}
});

test("`__proto__` is a key like any other", () => {
	const value: AnyValue = { kvlistValue: { values: [{ key: "__proto__", value: { stringValue: "x" } }] } };
	assert.equal(textOfValue(value), '{"__proto__":"x"}');
	assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

test("values that nest without end are cut", () => {
	let value: AnyValue = { stringValue: "core" };
	for (let depth = 0; depth < 1_000; depth++) value = { arrayValue: { values: [value] } };
	assert.match(textOfValue(value), /^\[+"…"\]+$/);
});

test("a resource without a usable service name has none", () => {
	assert.equal(serviceNameOf({ attributes: [{ key: "service.name", value: { stringValue: "cart" } }] }), "cart");
	assert.equal(serviceNameOf({ attributes: [{ key: "service.name", value: { stringValue: "" } }] }), undefined);
	assert.equal(serviceNameOf({}), undefined);
	assert.equal(serviceNameOf(undefined), undefined);
});

test("times are read from strings and numbers, and what is no time is 0", () => {
	assert.equal(nanosOf("1790000000123456789"), 1_790_000_000_123_456_789n);
	assert.equal(nanosOf(1_000), 1_000n);
	assert.equal(nanosOf("-5"), 0n);
	assert.equal(nanosOf(Number.NaN), 0n);
	assert.equal(nanosOf(undefined), 0n);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatGrpcTimeout, httpStatusOfGrpc, parseGrpcTimeout } from "./grpc.ts";

test("a timeout is at most eight digits and a unit, and comes in ms rounded up", () => {
	for (const [text, expected] of [
		["1H", 3_600_000],
		["2M", 120_000],
		["3S", 3_000],
		["250m", 250],
		["0m", 0],
		["1u", 1],
		["1000u", 1],
		["1001u", 2],
		["1n", 1],
		["99999999n", 100],
		["1000000n", 1],
		["99999999H", 359_999_996_400_000],
		["00000001S", 1_000],
	] as const) {
		assert.equal(parseGrpcTimeout(text), expected, text);
	}
	for (const text of [
		"",
		"1",
		"m",
		"100000000m",
		"1.5S",
		"-1S",
		"+1S",
		"1 S",
		" 1S",
		"1s",
		"1h",
		"1ms",
		"0x1S",
		"١S",
		"1__proto__",
	]) {
		assert.equal(parseGrpcTimeout(text), undefined, JSON.stringify(text));
	}
});

test("a written timeout is never longer than the given one, is exact where eight digits hold it, and is read back", () => {
	fc.assert(
		fc.property(fc.double({ min: 0, max: 3e17, noNaN: true }), (timeoutMs) => {
			const read = parseGrpcTimeout(formatGrpcTimeout(timeoutMs));
			assert.ok(read !== undefined && read <= timeoutMs);
			if (timeoutMs <= 99_999_999) assert.equal(read, Math.floor(timeoutMs));
			else assert.ok(read >= Math.min(timeoutMs * 0.999, 99_999_999 * 3_600_000 * 0.999), `${timeoutMs} became ${read}`);
		}),
	);
	assert.equal(formatGrpcTimeout(-5), "0m");
	assert.equal(formatGrpcTimeout(99_999_999), "99999999m");
	assert.equal(formatGrpcTimeout(100_000_000), "100000S");
	assert.equal(formatGrpcTimeout(1e30), "99999999H");
});

test("status codes map as Envoy maps them, unknown ones to 500", () => {
	const mapped = Array.from({ length: 18 }, (_, status) => httpStatusOfGrpc(status));
	assert.deepEqual(mapped, [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500]);
	assert.equal(httpStatusOfGrpc(-1), 500);
});

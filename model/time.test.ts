import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
	durationNs,
	formatDuration,
	MAX_TIME_NS,
	msFromTimeNs,
	parseDuration,
	parseMoment,
	timeNs,
	timeNsFromMs,
} from "./time.ts";

const NOW_MS = Date.UTC(2024, 1, 29, 12, 0, 0);
/** What 64 bits of nanoseconds hold, to the whole day. */
const rfcMs = fc.date({ min: new Date("1677-09-22T00:00:00Z"), max: new Date("2262-04-11T00:00:00Z"), noInvalidDate: true });

test("milliseconds survive the way to nanoseconds and back", () => {
	fc.assert(fc.property(fc.integer({ min: 0, max: 8.64e15 }), (ms) => assert.equal(msFromTimeNs(timeNsFromMs(ms)), ms)));
	assert.equal(timeNsFromMs(1.9), 1_000_000n);
	assert.equal(timeNsFromMs(-1), -1_000_000n);
	assert.equal(msFromTimeNs(timeNs(1_999_999n)), 1);
	assert.equal(durationNs(-5n), -5n);
});

test("a duration is the sum of its parts", () => {
	assert.equal(parseDuration("250ms"), 250_000_000n);
	assert.equal(parseDuration("1.5s"), 1_500_000_000n);
	assert.equal(parseDuration("1h30m"), 5_400_000_000_000n);
	assert.equal(parseDuration("7d"), 604_800_000_000_000n);
	assert.equal(parseDuration("1w"), parseDuration("7d"));
	assert.equal(parseDuration("10µs"), parseDuration("10us"));
	assert.equal(parseDuration("0s"), 0n);
	fc.assert(
		fc.property(fc.nat(1_000), fc.nat(59), fc.nat(59), fc.nat(999_999_999), (h, m, s, ns) => {
			const expected = ((BigInt(h) * 60n + BigInt(m)) * 60n + BigInt(s)) * 1_000_000_000n + BigInt(ns);
			assert.equal(parseDuration(`${h}h${m}m${s}s${ns}ns`), expected);
		}),
	);
});

test("a fraction of a unit is exact to the nanosecond", () => {
	fc.assert(
		fc.property(fc.nat(1_000_000), fc.nat(999_999_999), (whole, fraction) => {
			const text = `${whole}.${String(fraction).padStart(9, "0")}s`;
			assert.equal(parseDuration(text), BigInt(whole) * 1_000_000_000n + BigInt(fraction));
		}),
	);
});

test("what is no duration is refused, a bare number too", () => {
	for (const text of ["", "5", "s", "-1s", "1 s", "1s ", " 1s", "1.s", ".5s", "1e3s", "1S", "1x", "1s,1m", "now"]) {
		assert.equal(parseDuration(text), undefined, JSON.stringify(text));
	}
});

test("now, with or without a distance, is counted from the clock that was given", () => {
	assert.equal(parseMoment("now", NOW_MS), timeNsFromMs(NOW_MS));
	assert.equal(parseMoment("now-1h", NOW_MS), timeNsFromMs(NOW_MS - 3_600_000));
	assert.equal(parseMoment("now+90s", NOW_MS), timeNsFromMs(NOW_MS + 90_000));
	for (const text of ["now-", "now1h", "now-1", "now--1h", "Now"]) assert.equal(parseMoment(text, NOW_MS), undefined, text);
});

test("a moment written in RFC 3339 is the same moment, in any offset and to the nanosecond", () => {
	fc.assert(fc.property(rfcMs, (date) => assert.equal(parseMoment(date.toISOString(), NOW_MS), timeNsFromMs(date.getTime()))));
	assert.equal(parseMoment("2024-02-29T12:00:00Z", 0), timeNsFromMs(NOW_MS));
	assert.equal(parseMoment("2024-02-29t13:30:00+01:30", 0), timeNsFromMs(NOW_MS));
	assert.equal(parseMoment("2024-02-29 12:00:00z", 0), timeNsFromMs(NOW_MS));
	assert.equal(parseMoment("2024-02-29T12:00:00.123456789Z", 0), timeNsFromMs(NOW_MS) + 123_456_789n);
	assert.equal(parseMoment("1969-12-31T23:59:59.5Z", 0), -500_000_000n);
});

test("digits alone are epoch milliseconds", () => {
	fc.assert(fc.property(fc.nat(), (ms) => assert.equal(parseMoment(String(ms), NOW_MS), timeNsFromMs(ms))));
});

test("what is no moment is refused", () => {
	const texts = [
		"",
		"yesterday",
		"2024-02-29",
		"2024-02-29T12:00:00",
		"2024-13-01T00:00:00Z",
		"2024-02-29T12:00:61Z",
		"2024-02-30T00:00:00Z",
		"2023-02-29T00:00:00+01:00",
		"2024-04-31T00:00:00Z",
		"2024-02-29T24:00:00Z",
		"2024-02-29T12:00:00+24:00",
		"-5",
		"1.5",
	];
	for (const text of texts) assert.equal(parseMoment(text, NOW_MS), undefined, JSON.stringify(text));
	fc.assert(
		fc.property(fc.string(), (text) => {
			const moment = parseMoment(text, NOW_MS);
			assert.ok(moment === undefined || typeof moment === "bigint");
		}),
	);
});

test("a moment that 64 bits of nanoseconds do not hold is refused", () => {
	assert.equal(parseMoment("9223372036854", NOW_MS), 9_223_372_036_854_000_000n);
	assert.equal(parseMoment("2262-04-11T23:47:16.854775807Z", NOW_MS), MAX_TIME_NS);
	const texts = [
		"9223372036855",
		"9999999999999999",
		"2262-04-11T23:47:16.854775808Z",
		"9999-12-31T23:59:59Z",
		"now+99999999d",
	];
	for (const text of [...texts, "1677-09-21T00:12:43Z", "now-99999999d"])
		assert.equal(parseMoment(text, NOW_MS), undefined, text);
});

test("a duration is shown in the unit that keeps it readable", () => {
	assert.equal(formatDuration(0), "0 ns");
	assert.equal(formatDuration(999), "999 ns");
	assert.equal(formatDuration(1_204_000), "1.2 ms");
	assert.equal(formatDuration(340_400), "340 µs");
	assert.equal(formatDuration(3_050_000_000), "3.05 s");
	assert.equal(formatDuration(999_499), "999 µs");
	assert.equal(formatDuration(999_999), "1 ms");
	assert.equal(formatDuration(-999_999_999), "-1 s");
	assert.equal(formatDuration(-1_500_000), "-1.5 ms");
});

test("what is shown is within half a percent of the duration", () => {
	const unit: Readonly<Record<string, number>> = { ns: 1, µs: 1e3, ms: 1e6, s: 1e9 };
	fc.assert(
		fc.property(fc.integer({ min: 1, max: 1e13 }), (ns) => {
			const [number, name] = formatDuration(ns).split(" ");
			const shown = Number(number) * unit[name!]!;
			assert.ok(Math.abs(shown - ns) <= ns * 0.005, `${ns} ns is shown as ${number} ${name}`);
		}),
	);
});

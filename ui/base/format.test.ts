import assert from "node:assert/strict";
import { test } from "node:test";
import { countOf, formatBytes, formatClock, formatRate, formatSpanOfTime, formatUtc, shorten, visible } from "./format.ts";

test("a UTC time keeps every nanosecond", () => {
	assert.equal(formatUtc("1790000000123456789"), "2026-09-21T14:13:20.123456789Z");
});

test("times that no Date can hold are shown as they are", () => {
	assert.equal(formatUtc("18446744073709551615"), "2554-07-21T23:34:33.709551615Z");
	assert.equal(formatUtc("99999999999999999999"), "5138-11-16T09:46:39.999999999Z");
	assert.equal(formatUtc("not a time"), "not a time ns");
	assert.equal(formatClock("0"), "no time");
});

test("milliseconds stand behind the clock", () => {
	assert.match(formatClock("1790000000007000000"), /^\d\d:\d\d:20\.007$/);
});

test("bytes use binary units", () => {
	assert.equal(formatBytes(0), "0 B");
	assert.equal(formatBytes(1_536), "1.5 KiB");
	assert.equal(formatBytes(10 * 2 ** 30), "10 GiB");
});

test("rates keep three digits", () => {
	assert.equal(formatRate(0.1234), "0.123");
	assert.equal(formatRate(9_876), "9,880");
	assert.equal(formatRate(250_300), "250k");
	assert.equal(formatRate(2_500_000), "2.5M");
});

test("spans of time show their two largest units", () => {
	assert.equal(formatSpanOfTime(604_800), "7d");
	assert.equal(formatSpanOfTime(7_261), "2h 1m");
	assert.equal(formatSpanOfTime(0.4), "0s");
});

test("one of a thing is singular", () => {
	assert.equal(countOf(1, "span"), "1 span");
	assert.equal(countOf(2_000, "span"), "2,000 spans");
	assert.equal(countOf(2, "query", "queries"), "2 queries");
});

test("long names are shortened", () => {
	assert.equal(shorten("x".repeat(1_000), 5), "xxxxx…");
	assert.equal(shorten("short"), "short");
});

test("characters that reorder or hide text are written out", () => {
	assert.equal(visible("user\u202Efdp.exe"), "user<U+202E>fdp.exe");
	assert.equal(visible("a\u0000b\u200Bc\u001B[31m"), "a<U+0000>b<U+200B>c<U+001B>[31m");
	assert.equal(visible("tab\tand\nline, żółw, 你好, שלום"), "tab\tand\nline, żółw, 你好, שלום");
	assert.equal(shorten("\u202E"), "<U+202E>");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, fitRight, printable, textWidth } from "./text-width.ts";

test("wide characters and emoji take two columns, accents and joiners none", () => {
	assert.equal(textWidth("checkout"), 8);
	assert.equal(textWidth("注文サービス"), 12);
	assert.equal(textWidth("서비스"), 6);
	assert.equal(textWidth("cafe\u0301"), 4);
	assert.equal(textWidth("👩‍👩‍👧‍👦"), 2);
	assert.equal(textWidth("🛒 cart"), 7);
	assert.equal(textWidth("❤️"), 2);
	assert.equal(textWidth("größe"), 5);
});

test("fit gives exactly the width asked for, also where a wide character would stand across the edge", () => {
	for (const text of ["", "a", "abcdef", "注文サービス", "a注b文c", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦"]) {
		for (let width = 0; width < 9; width++) assert.equal(textWidth(fit(text, width)), width, `${text} in ${width}`);
	}
	assert.equal(fit("abcdef", 4), "abc…");
	assert.equal(fit("注文サ", 4), "注… ");
	assert.equal(fitRight("7 ms", 6), "  7 ms");
});

test("characters that would steer a terminal are shown, not sent", () => {
	assert.equal(printable("a\u001b[31mred\u0007\r\nb"), "a\\x1b[31mred\\x07\\x0d\\x0ab");
	assert.equal(printable("\u009bq \u202eabc\u2028 \u200bx"), "\\x9bq \\u202eabc\\u2028 \\u200bx");
	assert.equal(printable("tab\there \ud800"), "tab\\x09here \ufffd");
	assert.equal(printable("plain 注文 ❤️"), "plain 注文 ❤️");
});

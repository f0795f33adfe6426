import assert from "node:assert/strict";
import { test } from "node:test";
import { toCsv } from "./csv.ts";

test("cells with commas, quotes and line breaks are quoted, and nothing is an empty cell", () => {
	assert.equal(
		toCsv(["a", "b", "c", "d"], [["x,y", 'say "hi"', "two\nlines", undefined]]),
		'a,b,c,d\r\n"x,y","say ""hi""","two\nlines",\r\n',
	);
});

test("a name that a spreadsheet would run as a formula stays a text, a negative number stays a number", () => {
	assert.equal(
		toCsv(
			["name", "change"],
			[
				["=HYPERLINK(1)", -5],
				["+1", 0.5],
				["@x", 1],
				["-2", true],
			],
		),
		"name,change\r\n'=HYPERLINK(1),-5\r\n'+1,0.5\r\n'@x,1\r\n'-2,true\r\n",
	);
});

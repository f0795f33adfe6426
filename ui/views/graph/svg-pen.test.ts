import assert from "node:assert/strict";
import { test } from "node:test";
import { SvgPen } from "./svg-pen.ts";

test("paths are written as they were traced, filled and stroked with what was set", () => {
	const pen = new SvgPen();
	pen.beginPath();
	pen.moveTo(1, 2);
	pen.bezierCurveTo(3, 4, 5, 6, 7.123, 8);
	pen.strokeStyle = "#123456";
	pen.lineWidth = 2;
	pen.setLineDash([9, 4]);
	pen.globalAlpha = 0.26;
	pen.stroke();
	assert.equal(
		pen.content(),
		'<path d="M1 2C3 4 5 6 7.12 8" fill="none" stroke="#123456" stroke-width="2" stroke-dasharray="9 4" opacity="0.26"/>',
	);
});

/** Ends of the arcs of a path. */
function arcsOf(pen: SvgPen): readonly string[] {
	return [...pen.content().matchAll(/A[\d.]+ [\d.]+ 0 0 1 (-?[\d.]+ -?[\d.]+)/g)].map((match) => match[1]!);
}

test("a whole turn is two arcs and more, since one would end where it begins", () => {
	const pen = new SvgPen();
	pen.beginPath();
	pen.arc(10, 10, 5, 0, 2 * Math.PI);
	pen.fill();
	const arcs = arcsOf(pen);
	assert.ok(arcs.length >= 2);
	assert.equal(arcs.at(-1), "15 10");
	assert.match(pen.content(), /^<path d="M15 10A/);
});

test("an arc ends where it should, also over the beginning of the turn, and joins what was traced before", () => {
	const pen = new SvgPen();
	pen.beginPath();
	pen.moveTo(0, 0);
	pen.arc(0, 0, 10, Math.PI * 1.5, Math.PI * 0.5);
	pen.stroke();
	assert.match(pen.content(), /d="M0 0L0 -10A/);
	assert.equal(arcsOf(pen).at(-1), "0 10");
	const halves = new SvgPen();
	halves.beginPath();
	halves.ellipse(0, 0, 4, 2, 0, 0, Math.PI);
	halves.ellipse(0, -5, 4, 2, 0, Math.PI, 2 * Math.PI);
	halves.closePath();
	halves.fill();
	assert.deepEqual(arcsOf(halves).slice(-1), ["4 -5"]);
});

test("texts stand where the canvas puts them: by anchor, and by baseline from the size of the face", () => {
	const pen = new SvgPen();
	pen.font = "600 20px system-ui, 'Segoe UI'";
	pen.textAlign = "center";
	pen.textBaseline = "top";
	pen.fillText("cart", 5, 10);
	assert.match(
		pen.content(),
		/^<text x="5" y="27.2" font-family="system-ui, 'Segoe UI'" font-size="20" font-weight="600" text-anchor="middle"/,
	);
	pen.fillText("a".repeat(100), 5, 10, 50);
	assert.match(pen.content(), /textLength="50" lengthAdjust="spacingAndGlyphs"/);
});

test("names of senders are text, and can hold nothing that is no XML", () => {
	const pen = new SvgPen();
	pen.fillText('</text><script>"&\u0000\u202E\uD800', 0, 0);
	const told = />([^]*)<\/text>$/.exec(pen.content())![1]!;
	assert.equal(told, "&lt;/text&gt;&lt;script&gt;&quot;&amp;&lt;U+0000&gt;&lt;U+202E&gt;\uFFFD");
});

/**
 * How many columns of a terminal a text takes, and cutting and padding by that measure. Pure.
 *
 * Counts graphemes, so that an emoji made of several code points, or a letter with its accents, is one glyph.
 */

/** Ranges of East Asian Wide and Fullwidth characters (Unicode 16 EastAsianWidth.txt, neighbours joined over unassigned gaps). */
const WIDE_RANGES: readonly (readonly [number, number])[] = [
	[0x1100, 0x115f],
	[0x231a, 0x231b],
	[0x2329, 0x232a],
	[0x23e9, 0x23ec],
	[0x2e80, 0x303e],
	[0x3041, 0x3247],
	[0x3250, 0x4dbf],
	[0x4e00, 0xa4c6],
	[0xa960, 0xa97c],
	[0xac00, 0xd7a3],
	[0xf900, 0xfaff],
	[0xfe10, 0xfe19],
	[0xfe30, 0xfe6b],
	[0xff01, 0xff60],
	[0xffe0, 0xffe6],
	[0x16fe0, 0x18cd5],
	[0x1aff0, 0x1b2fb],
	[0x1d300, 0x1d376],
	[0x1f200, 0x1f265],
	[0x20000, 0x3fffd],
];
const EMOJI = /\p{Emoji_Presentation}|\ufe0f/u;
const INVISIBLE = /^[\p{Mark}\p{Default_Ignorable_Code_Point}]+$/u;
const PLAIN = /^[\x20-\x7e]*$/;
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

export function textWidth(text: string): number {
	if (PLAIN.test(text)) return text.length;
	let width = 0;
	for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
	return width;
}

/** Exactly `width` columns: padded on the right, or cut with an ellipsis. */
export function fit(text: string, width: number): string {
	const own = textWidth(text);
	if (own <= width) return text + " ".repeat(width - own);
	let out = "";
	let used = 0;
	for (const { segment } of graphemes.segment(text)) {
		const next = graphemeWidth(segment);
		if (used + next > width - 1) break;
		out += segment;
		used += next;
	}
	return width <= 0 ? "" : `${out}…${" ".repeat(width - used - 1)}`;
}

/** As {@link fit}, for figures: padded on the left. */
export function fitRight(text: string, width: number): string {
	const own = textWidth(text);
	return own <= width ? " ".repeat(width - own) + text : fit(text, width);
}

/** Controls, line separators, and characters that reorder or hide text: what a sender could use to lie to a terminal. */
const UNPRINTABLE = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** Text of a sender, safe to print on one line. */
export function printable(text: string): string {
	const wellFormed = text.toWellFormed();
	return wellFormed.replace(UNPRINTABLE, (character) => {
		const code = character.codePointAt(0)!;
		return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
	});
}

function graphemeWidth(grapheme: string): number {
	if (INVISIBLE.test(grapheme)) return 0;
	const code = grapheme.codePointAt(0)!;
	return isWide(code) || EMOJI.test(grapheme) ? 2 : 1;
}

function isWide(code: number): boolean {
	for (const [low, high] of WIDE_RANGES) {
		if (code < low) return false;
		if (code <= high) return true;
	}
	return false;
}

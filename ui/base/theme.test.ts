import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("theme.css", import.meta.url), "utf8");
const blocks = [...css.matchAll(/([^{}]+)\{([^{}]*--ground[^{}]*)\}/g)].map((match) => namesOf(match[2]!));

function namesOf(block: string): ReadonlyMap<string, string> {
	return new Map([...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((match) => [match[1]!, match[2]!]));
}

/** WCAG 2.2, "relative luminance". */
function luminance(hex: string): number {
	const channels = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
	const linear = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
	return 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!;
}

function contrast(a: string, b: string): number {
	const [light, dark] = [luminance(a), luminance(b)].toSorted((x, y) => y - x);
	return (light! + 0.05) / (dark! + 0.05);
}

test("the system's dark and the chosen dark are the same colours", () => {
	assert.equal(blocks.length, 3);
	assert.deepEqual([...blocks[1]!], [...blocks[2]!]);
});

test("dark has a value for every colour of light", () => {
	const colours = [...blocks[0]!].filter(([, value]) => value.startsWith("#")).map(([name]) => name);
	assert.ok(colours.length > 25);
	for (const name of colours) assert.ok(blocks[1]!.has(name), name);
});

for (const [index, theme] of ["light", "dark"].entries()) {
	const colour = (name: string): string => blocks[index]!.get(name)!;

	test(`text is readable on every ground it stands on: ${theme}`, () => {
		const pairs = [
			...["text", "text-2", "text-3", "accent", "error"].flatMap((name) =>
				["ground", "surface", "surface-2", "surface-hover", "accent-ground"].map((ground) => [name, ground] as const),
			),
			["error", "error-ground"],
			["text", "error-ground"],
			["text-3", "error-ground"],
			["warn", "warn-ground"],
			["text", "warn-ground"],
			["good", "good-ground"],
			["text", "good-ground"],
			["on-accent", "accent"],
		] as const;
		const low = pairs
			.map(([name, ground]) => ({ pair: `${name} on ${ground}`, ratio: contrast(colour(name), colour(ground)) }))
			.filter(({ ratio }) => ratio < 4.5);
		assert.deepEqual(low, []);
	});

	test(`service colours stand out from the surface: ${theme}`, () => {
		for (let slot = 0; slot < 10; slot++) {
			const ratio = contrast(colour(`service-${slot}`), colour("surface"));
			assert.ok(ratio >= 3, `service-${slot}: ${ratio.toFixed(2)}`);
		}
	});
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { findEntries } from "./palette-search.ts";
import type { EntryKind, PaletteEntry } from "./palette-search.ts";

function entry(kind: EntryKind, label: string, texts: readonly string[] = [label.toLowerCase()], also?: string): PaletteEntry {
	return { key: `${kind} ${label}`, kind, label, texts, target: { href: "/" }, ...(also === undefined ? {} : { also }) };
}

function edge(source: string, target: string): PaletteEntry {
	return entry("edge", `${source} → ${target}`, [source, target]);
}

function found(entries: readonly PaletteEntry[], text: string): readonly string[] {
	return findEntries(entries, text, 10).shown.map(({ label }) => label);
}

test("the whole name beats its beginning, that a word in it, that a part, that letters in order", () => {
	const entries = ["shop/discount", "cart-store", "shop/cart", "cart", "cobalt-art"].map((name) => entry("service", name));
	assert.deepEqual(found(entries, "cart"), ["cart", "cart-store", "shop/cart", "cobalt-art"]);
	assert.deepEqual(found(entries, "count"), ["shop/discount"]);
	assert.deepEqual(found(entries, "zz"), []);
	assert.deepEqual(found(entries, "ct"), [], "two letters in order mean nothing");
});

test("every word must be in the entry, in any order and case", () => {
	const entries = [entry("service", "shop/cart"), entry("service", "pay/cart")];
	assert.deepEqual(found(entries, "CART pay"), ["pay/cart"]);
	assert.deepEqual(found(entries, "cart nowhere"), []);
});

test("two words are an edge from the first to the second, and the edge back comes after it", () => {
	const entries = [edge("shop/cart", "shop/checkout"), edge("shop/checkout", "shop/cart"), edge("shop/checkout", "pay/fraud")];
	for (const text of ["checkout cart", "checkout > cart", "checkout → cart", "checkout->cart"])
		assert.deepEqual(found(entries, text), ["shop/checkout → shop/cart", "shop/cart → shop/checkout"], text);
	assert.deepEqual(found(entries, "checkout pay fraud"), ["shop/checkout → pay/fraud"]);
});

test("one word means a service before its edges, and the kind decides among equals", () => {
	const entries = [
		edge("cart", "redis"),
		entry("traces", "Traces of cart"),
		entry("service", "shop/cart"),
		entry("page", "Cart"),
	];
	assert.deepEqual(found(entries, "cart"), ["Cart", "cart → redis", "shop/cart", "Traces of cart"]);
	assert.deepEqual(found([edge("shop/cart", "redis"), entry("service", "shop/cart")], "cart")[0], "shop/cart");
});

test("other words for the same are a weaker hit than a name", () => {
	const entries = [entry("action", "Theme: dark", undefined, "night colours"), entry("service", "night-watch")];
	assert.deepEqual(found(entries, "night"), ["night-watch", "Theme: dark"]);
});

test("the answer is bounded, says how many there are, and is the same for every order of entries", () => {
	const entries = Array.from({ length: 300 }, (_, i) => entry("service", `svc-${i}`));
	const { shown, total } = findEntries(entries, "svc", 10);
	assert.equal(shown.length, 10);
	assert.equal(total, 300);
	assert.deepEqual(findEntries(entries.toReversed(), "svc", 10).shown, shown);
	assert.deepEqual(findEntries(entries, " ", 3).shown, entries.slice(0, 3));
});

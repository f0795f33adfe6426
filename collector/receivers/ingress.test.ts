import assert from "node:assert/strict";
import { test } from "node:test";
import { deliver, printable, refusalNotes, refusalOf, tokenCheck } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { Reservation } from "./payload-buffer.ts";
import { DEFAULT_LIMITS } from "./settings.ts";
import { ACCEPTED, FakeSink } from "./test-kit.ts";

function ingressOf(sink: FakeSink, lines: unknown[][] = []): Ingress {
	return {
		sink,
		limits: DEFAULT_LIMITS,
		log: (...line) => lines.push(line),
		authorized: () => true,
		draining: () => false,
		noteRefusal: () => {},
	};
}

test("without tokens everyone may send; with tokens only who presents one of them", () => {
	assert.ok(tokenCheck([])(undefined));
	const check = tokenCheck(["alpha", "beta"]);
	assert.ok(check("Bearer alpha"));
	assert.ok(check("bearer  beta"));
	for (const wrong of [
		undefined,
		"",
		"alpha",
		"Bearer",
		"Bearer ",
		"Bearer alph",
		"Bearer alphaa",
		"Basic alpha",
		"Bearer alpha, beta",
	]) {
		assert.equal(check(wrong), false, String(wrong));
	}
});

test("text of a peer cannot start a new line, colour a terminal or turn the reading direction", () => {
	assert.equal(printable("a\r\nb\u001b[31m\u2028\u202e\\n"), "a\\u{d}\\u{a}b\\u{1b}[31m\\u{2028}\\u{202e}\\\\n");
	assert.equal(printable("häuser 漢字 🙂"), "häuser 漢字 🙂");
	assert.equal(printable("x".repeat(500)).length, 121);
	assert.ok(printable("\ud800").isWellFormed());
});

test("the same refusal is logged once in ten seconds, with how many were not", () => {
	const lines: { reason: unknown; notLoggedSince: unknown }[] = [];
	let now = 0;
	const note = refusalNotes(
		(_level, _message, fields) => lines.push(fields as (typeof lines)[number]),
		() => now,
	);
	for (let i = 0; i < 1_000; i++) note("otlpHttp", "traces", { code: "overloaded", message: `full\n${i}` });
	note("otlpHttp", "traces", { code: "unauthenticated", message: "no" });
	assert.equal(lines.length, 2);
	now = 10_000;
	note("otlpHttp", "logs", { code: "overloaded", message: "full" });
	assert.equal(lines.length, 3);
	assert.equal(lines[2]!.notLoggedSince, 999);
	assert.equal(lines[0]!.reason, "full\\u{a}0");
});

test("the sink accounts for a batch from submit on: the reservation ends before the commit", async () => {
	const sink = new FakeSink();
	const reservation = new Reservation(sink);
	reservation.growTo(3);
	let heldAtCommit = -1;
	sink.answer = async () => {
		await new Promise((resolve) => setTimeout(resolve, 5));
		heldAtCommit = sink.heldBytes;
		return ACCEPTED;
	};
	await deliver(
		ingressOf(sink),
		{ signal: "logs", encoding: "otlp-protobuf", bytes: new Uint8Array(3), self: false },
		reservation,
	);
	assert.equal(heldAtCommit, 0);
});

test("a sink that breaks its promise never to reject costs one answer, not the process", async () => {
	const sink = new FakeSink();
	sink.answer = () => {
		throw new Error("secret path");
	};
	const lines: unknown[][] = [];
	const batch = { signal: "logs", encoding: "otlp-protobuf", bytes: new Uint8Array(1), self: false } as const;
	const outcome = await deliver(ingressOf(sink, lines), batch, new Reservation(sink));
	assert.deepEqual(outcome, { kind: "refused", code: "internal", message: "The pipeline failed on this batch." });
	assert.equal(lines.length, 1);
});

test("what is not a MeshscopeError tells the client nothing about the inside", () => {
	const lines: unknown[][] = [];
	const refusal = refusalOf(new TypeError("x of undefined at /srv/secret"), ingressOf(new FakeSink(), lines));
	assert.deepEqual(refusal, { code: "internal", message: "The receiver failed on this request." });
	assert.equal(lines.length, 1);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { PayloadBuffer, Reservation, freeChunk, soleView } from "./payload-buffer.ts";
import { DEFAULT_LIMITS } from "./settings.ts";
import { FakeSink } from "./test-kit.ts";

const MIB = 1024 * 1024;
const limits = { ...DEFAULT_LIMITS, maxPayloadBytes: 32 * MIB };

function pattern(length: number): Buffer {
	const bytes = Buffer.allocUnsafe(length);
	for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
	return bytes;
}

function fill(buffer: PayloadBuffer, bytes: Uint8Array, step: number): void {
	for (let at = 0; at < bytes.length; at += step) buffer.append(bytes.subarray(at, at + step));
}

test("a declared length arrives in exactly one ArrayBuffer of that size, never in Node's shared pool", () => {
	const bytes = pattern(1000);
	const buffer = new PayloadBuffer(limits, new Reservation(new FakeSink()), bytes.length);
	fill(buffer, bytes, 64);
	const taken = buffer.take();
	assert.equal(taken.buffer.byteLength, 1000);
	assert.equal(taken.byteOffset, 0);
	assert.deepEqual(Buffer.from(taken), bytes);
});

test("lengths above 8 MiB and unknown lengths grow without losing a byte", () => {
	const bytes = pattern(20 * MIB + 17);
	for (const expected of [bytes.length, undefined]) {
		const sink = new FakeSink();
		const buffer = new PayloadBuffer(limits, new Reservation(sink), expected);
		fill(buffer, bytes, 60_001);
		assert.ok(sink.heldBytes >= bytes.length, "everything buffered is reserved");
		const taken = buffer.take();
		assert.equal(Buffer.compare(taken, bytes), 0);
		assert.equal(taken.byteOffset, 0);
		buffer.reservation.release();
		assert.equal(sink.heldBytes, 0);
	}
});

test("a declared length holds one step, not what it announces", () => {
	const sink = new FakeSink();
	const buffer = new PayloadBuffer(limits, new Reservation(sink), 30 * MIB);
	assert.equal(sink.heldBytes, 64 * 1024);
	buffer.append(pattern(MIB + 1));
	assert.ok(sink.heldBytes <= 2 * MIB + 1);
	buffer.discard();
	assert.equal(sink.heldBytes, 0);
});

test("a declared length for which there is no room is refused before the body is read", () => {
	const sink = new FakeSink();
	sink.budgetBytes = 20 * MIB;
	assert.throws(() => new PayloadBuffer(limits, new Reservation(sink), 30 * MIB), { code: "overloaded" });
	assert.equal(sink.heldBytes, 0);
});

test("a declared length above the limit is refused before anything is reserved", () => {
	const sink = new FakeSink();
	assert.throws(() => new PayloadBuffer(limits, new Reservation(sink), 32 * MIB + 1), { code: "payload_too_large" });
	assert.equal(sink.maxHeldBytes, 0);
});

test("an unknown length is refused when it passes the limit, and exactly the limit is not", () => {
	const small = { ...limits, maxPayloadBytes: 100_000 };
	const fits = new PayloadBuffer(small, new Reservation(new FakeSink()), undefined);
	fill(fits, pattern(100_000), 7_001);
	assert.equal(fits.take().length, 100_000);
	const over = new PayloadBuffer(small, new Reservation(new FakeSink()), undefined);
	assert.throws(() => fill(over, pattern(100_001), 7_001), { code: "payload_too_large" });
});

test("no room is a retryable refusal with a delay", () => {
	const sink = new FakeSink();
	sink.budgetBytes = 100;
	assert.throws(() => new PayloadBuffer(limits, new Reservation(sink), 101), { code: "overloaded", retryAfterMs: 1_000 });
	assert.equal(sink.heldBytes, 0);
});

test("a reservation gives back exactly what it took, however often it is released", () => {
	const sink = new FakeSink();
	const reservation = new Reservation(sink);
	assert.ok(reservation.growTo(10) && reservation.growTo(5) && reservation.growTo(30));
	assert.equal(sink.heldBytes, 30);
	reservation.shrinkTo(12);
	reservation.shrinkTo(20);
	assert.equal(sink.heldBytes, 12);
	reservation.release();
	reservation.release();
	assert.equal(sink.heldBytes, 0);
});

test("memory carried along unused is at most a quarter", () => {
	const memory = new Uint8Array(1_000);
	assert.equal(soleView(memory, 800).buffer, memory.buffer);
	assert.equal(soleView(memory, 700).buffer.byteLength, 700);
});

test("a chunk's memory is given back when the chunk is all of it", () => {
	const whole = new Uint8Array(64);
	freeChunk(whole);
	assert.equal(whole.buffer.detached, true);
	const part = new Uint8Array(new ArrayBuffer(64), 0, 63);
	freeChunk(part);
	assert.equal(part.buffer.detached, false);
});

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { SessionReads } from "./session-reads.ts";

class Stream extends EventEmitter {
	readableLength = 0;
}

function sessionWith(count: number): { reads: SessionReads; streams: Stream[] } {
	const reads = new SessionReads();
	const streams = Array.from({ length: count }, () => new Stream());
	for (const stream of streams) reads.add(stream);
	return { reads, streams };
}

const sliceOf = (buffer: ArrayBuffer, start = 9): Uint8Array => new Uint8Array(buffer, start, 16);

test("a read is freed when the next one has come, and not before", () => {
	const { reads } = sessionWith(1);
	const [first, second] = [new ArrayBuffer(64), new ArrayBuffer(64)];
	reads.copied(sliceOf(first));
	reads.copied(sliceOf(first, 40));
	assert.equal(first.detached, false);
	reads.copied(sliceOf(second));
	assert.deepEqual([first.detached, second.detached], [true, false]);
});

test("a read stays while any open stream has data unread", () => {
	const { reads, streams } = sessionWith(2);
	const [first, second, third] = [new ArrayBuffer(64), new ArrayBuffer(64), new ArrayBuffer(64)];
	reads.copied(sliceOf(first));
	streams[1]!.readableLength = 16;
	reads.copied(sliceOf(second));
	assert.equal(first.detached, false);
	streams[1]!.readableLength = 0;
	reads.copied(sliceOf(third));
	assert.deepEqual([first.detached, second.detached, third.detached], [true, true, false]);
});

test("a late slice of an earlier read does not pass for a newer one", () => {
	const { reads, streams } = sessionWith(2);
	const [first, second] = [new ArrayBuffer(64), new ArrayBuffer(64)];
	reads.copied(sliceOf(first));
	streams[1]!.readableLength = 16;
	reads.copied(sliceOf(second));
	streams[1]!.readableLength = 0;
	reads.copied(sliceOf(first, 40));
	assert.deepEqual([first.detached, second.detached], [false, false]);
});

test("a stream that is closed holds nothing up", () => {
	const { reads, streams } = sessionWith(2);
	const [first, second] = [new ArrayBuffer(64), new ArrayBuffer(64)];
	streams[1]!.readableLength = 16;
	reads.copied(sliceOf(first));
	streams[1]!.emit("close");
	reads.copied(sliceOf(second));
	assert.equal(first.detached, true);
	assert.equal(reads.open, 1);
});

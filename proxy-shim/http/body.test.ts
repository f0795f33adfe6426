import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import fc from "fast-check";
import { REPLAY_LIMIT_BYTES, RequestBody } from "./body.ts";

/** A source in the test's hands that notes whether it is paused. */
class HandSource extends EventEmitter {
	paused = false;
	pause(): void {
		this.paused = true;
	}
	resume(): void {
		this.paused = false;
	}
}

test("each attempt gets the whole body from its beginning, whenever the one before it ended", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), { maxLength: 12 }),
			fc.array(fc.nat(3), { maxLength: 4 }),
			async (chunks, readsBeforeRetry) => {
				const source = Readable.from(
					chunks.map((chunk) => Buffer.from(chunk)),
					{ objectMode: true },
				);
				const body = new RequestBody(
					source,
					() => ["x", "1"],
					() => {},
				);
				for (const reads of readsBeforeRetry) {
					const reader = body.open();
					for (let i = 0; i < reads; i++) {
						reader.read();
						await new Promise(setImmediate);
					}
					reader.destroy();
				}
				const whole = Buffer.concat(chunks);
				assert.ok((await buffer(body.open())).equals(whole));
				assert.equal(body.bytes, whole.length);
				assert.deepEqual(body.trailers, ["x", "1"]);
				assert.equal(body.replayable, true);
			},
		),
		{ numRuns: 60 },
	);
});

test("a body that outgrows the limit is sent once", async () => {
	const source = Readable.from([Buffer.alloc(REPLAY_LIMIT_BYTES), Buffer.alloc(1)], { objectMode: true });
	const body = new RequestBody(
		source,
		() => [],
		() => {},
	);
	assert.equal((await buffer(body.open())).length, REPLAY_LIMIT_BYTES + 1);
	assert.equal(body.replayable, false);
});

test("nothing is read before the first attempt, and the caller is told then, once", () => {
	const source = new HandSource();
	let told = 0;
	const body = new RequestBody(
		source,
		() => [],
		() => told++,
	);
	assert.equal(source.listenerCount("data"), 0);
	assert.equal(body.started, false);
	body.open();
	body.open();
	assert.equal(told, 1);
	assert.equal(source.listenerCount("data"), 1);
});

test("the caller is held back while nobody takes, and goes on when somebody does", async () => {
	const source = new HandSource();
	const body = new RequestBody(
		source,
		() => [],
		() => {},
	);
	const reader = body.open();
	for (let i = 0; i < 3; i++) source.emit("data", Buffer.alloc(REPLAY_LIMIT_BYTES / 2));
	assert.equal(source.paused, true);
	reader.resume();
	await new Promise(setImmediate);
	assert.equal(source.paused, false);
});

test("a caller that goes away breaks the attempt that reads, and is no body to send again", async () => {
	const source = new HandSource();
	const body = new RequestBody(
		source,
		() => [],
		() => {},
	);
	const reader = body.open();
	source.emit("data", Buffer.from("part"));
	source.emit("close");
	await assert.rejects(buffer(reader), /went away/);
	assert.equal(body.broken, true);
	assert.equal(body.replayable, false);
});

test("what comes after an early answer is read and dropped", () => {
	const source = new HandSource();
	const body = new RequestBody(
		source,
		() => [],
		() => {},
	);
	body.open();
	source.pause();
	body.discard();
	assert.equal(source.paused, false);
	source.emit("data", Buffer.alloc(1_000_000));
	assert.equal(source.paused, false);
	assert.equal(body.bytes, 0);
});

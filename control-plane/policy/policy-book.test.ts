import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryStateFolder } from "../../model/mesh/state-folder.ts";
import { openPolicyBook } from "./policy-book.ts";

const documents = (value: unknown, line = 1) => [{ line, file: "mesh.yaml", value }];
const sound = (value: unknown, line = 1) => ({ documents: documents(value, line), faults: [], warnings: [] });
const fault = { file: "mesh.yaml", line: 3, column: 1, path: "spec", message: "is wrong" };

test("versions rise by one with each other policy, over restarts too", () => {
	const state = memoryStateFolder();
	const book = openPolicyBook(state);
	assert.equal(book.current(), undefined);
	assert.equal(book.submit(sound({ a: 1 }), 10), "accepted");
	assert.equal(book.submit(sound({ a: 1 }, 7), 20), "unchanged");
	assert.equal(book.submit(sound({ a: 2 }), 30), "accepted");
	assert.equal(book.current()?.version, "2");
	const again = openPolicyBook(state);
	assert.deepEqual(again.current(), book.current());
	assert.equal(again.acceptedAtMs(), 30);
	assert.equal(again.submit(sound({ a: 1 }), 40), "accepted");
	assert.equal(again.current()?.version, "3");
});

test("a policy with faults is no version; its faults stay known until a sound one comes, and only the newest ten", () => {
	const book = openPolicyBook(memoryStateFolder());
	book.submit(sound({}), 1);
	for (let i = 0; i < 15; i++) assert.equal(book.submit({ documents: [], faults: [fault], warnings: [] }, i), "rejected");
	assert.equal(book.current()?.version, "1");
	assert.equal(book.rejected().length, 10);
	assert.deepEqual(book.rejected()[0], { atMs: 14, faults: [fault] });
	assert.equal(book.submit(sound({}), 20), "unchanged");
	assert.deepEqual(book.rejected(), []);
});

test("what a reader leaves on a document beside its value is not told", () => {
	const book = openPolicyBook(memoryStateFolder());
	const [document] = documents({});
	book.submit({ documents: [{ ...document!, locate: () => 1 } as never], faults: [], warnings: [] }, 1);
	assert.deepEqual(book.current()?.documents, documents({}));
});

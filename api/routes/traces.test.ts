import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptedProtobuf } from "./traces.ts";

test("protobuf is answered only when it is named, and named above JSON", () => {
	assert.equal(acceptedProtobuf("application/x-protobuf"), "application/x-protobuf");
	assert.equal(acceptedProtobuf("text/html, Application/Protobuf;q=0.9, application/json;q=0.8"), "application/protobuf");
	for (const accept of [undefined, "", "*/*", "application/*", "application/json", "application/protobuf;q=bad"]) {
		assert.equal(acceptedProtobuf(accept), undefined, String(accept));
	}
});

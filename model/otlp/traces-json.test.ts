import assert from "node:assert/strict";
import { test } from "node:test";
import { WireWriter } from "../protobuf/writer.ts";
import { decodeTracesData } from "./decode.ts";
import { TracesJsonWriter } from "./traces-json.ts";

interface Scope {
	readonly own: Uint8Array;
	readonly spans: readonly Uint8Array[];
}

interface Resource {
	readonly own: Uint8Array;
	readonly scopes: readonly Scope[];
}

/** A message of text fields. */
function message(...fields: readonly (readonly [number, string])[]): Uint8Array {
	const writer = new WireWriter();
	for (const [field, text] of fields) writer.bytesField(field, new TextEncoder().encode(text));
	return writer.finish();
}

function tracesData(resources: readonly Resource[]): Uint8Array {
	const writer = new WireWriter();
	for (const { own, scopes } of resources) {
		const resource = writer.begin(1);
		writer.raw(own);
		for (const scope of scopes) {
			const scopeSpans = writer.begin(2);
			writer.raw(scope.own);
			for (const span of scope.spans) writer.bytesField(2, span);
			writer.end(scopeSpans);
		}
		writer.end(resource);
	}
	return writer.finish();
}

function written(resources: readonly Resource[]): Uint8Array[] {
	const writer = new TracesJsonWriter();
	for (const { own, scopes } of resources) {
		writer.beginResource(own);
		for (const scope of scopes) {
			writer.addScope(
				scope.own,
				scope.spans.map((span) => {
					const field = new WireWriter();
					field.bytesField(2, span);
					return field.finish();
				}),
			);
		}
		writer.endResource();
	}
	return writer.finish();
}

const span = message([5, 'name\u2028"日本'], [3, "state"]);
const schemaUrl = message([3, 'https://example.test/"schema']);
const empty = new Uint8Array(0);
const shapes: Readonly<Record<string, readonly Resource[]>> = {
	nothing: [],
	"no scope": [{ own: schemaUrl, scopes: [] }],
	"no span": [{ own: empty, scopes: [{ own: schemaUrl, spans: [] }] }],
	"several of each": [
		{
			own: schemaUrl,
			scopes: [
				{ own: empty, spans: [span, empty, span] },
				{ own: schemaUrl, spans: [span] },
			],
		},
		{ own: empty, scopes: [{ own: empty, spans: [span] }] },
	],
};

for (const [name, resources] of Object.entries(shapes)) {
	test(`written span by span, the text is that of the whole: ${name}`, () => {
		const text = Buffer.concat(written(resources)).toString();
		assert.equal(text, JSON.stringify(decodeTracesData(tracesData(resources))));
	});
}

test("pieces may end within a character, and together they are the text", () => {
	const long = message([5, "日本".repeat(50_000)]);
	const resources = [{ own: empty, scopes: [{ own: empty, spans: Array.from({ length: 7 }, () => long) }] }];
	const pieces = written(resources);
	assert.ok(pieces.length > 2);
	assert.equal(Buffer.concat(pieces).toString(), JSON.stringify(decodeTracesData(tracesData(resources))));
});

/** Arbitrary spans in any of the forms that senders may write: repeated fields, strange encodings, extreme times. */
import fc from "fast-check";
import { WireWriter } from "../../model/protobuf/writer.ts";

export type Write = (writer: WireWriter) => void;

const YEAR_NS = 31_557_600_000_000_000n;
export const NOW_NS = 1_800_000_000_000_000_000n;
const extremeTime = fc.oneof(
	fc.constantFrom(
		0n,
		1n,
		(1n << 63n) - 1n,
		1n << 63n,
		(1n << 64n) - 1n,
		NOW_NS,
		NOW_NS + 10n * YEAR_NS,
		NOW_NS - 10n * YEAR_NS,
	),
	fc.constantFrom(NOW_NS + (1n << 52n), NOW_NS + (1n << 52n) - 1n, NOW_NS - (1n << 52n), NOW_NS - (1n << 52n) + 1n),
	fc.bigInt({ min: NOW_NS - 1_000_000n, max: NOW_NS + 1_000_000n }),
	fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);
const name = fc.constantFrom("", "op", "other", "日本語", "x".repeat(300));
const raw =
	(bytes: string): Write =>
	(writer) =>
		writer.raw(Buffer.from(bytes, "hex"));

/** A field of a span in one of the forms that senders may write, repeated ones and strange encodings included. */
const oddField: fc.Arbitrary<Write> = fc.oneof(
	name.map(
		(text): Write =>
			(writer) =>
				writer.stringField(5, text),
	),
	fc.nat({ max: 300 }).map(
		(kind): Write =>
			(writer) =>
				writer.varintField(6, kind),
	),
	extremeTime.map(
		(time): Write =>
			(writer) =>
				writer.fixed64Field(7, time),
	),
	extremeTime.map(
		(time): Write =>
			(writer) =>
				writer.fixed64Field(8, time),
	),
	fc.nat({ max: 5 }).map(
		(parent): Write =>
			(writer) =>
				writer.bytesField(4, spanIdOf(parent)),
	),
	fc.constant<Write>((writer) => writer.bytesField(4, new Uint8Array(8))),
	fc.constant<Write>((writer) => writer.bytesField(4, new Uint8Array(0))),
	fc.nat({ max: 3 }).map((code): Write => raw(`7a0218${code.toString(16).padStart(2, "0")}`)),
	fc.tuple(fc.constantFrom("a", "b", "key"), name).map(([key, value]): Write => (writer) => {
		const attribute = writer.begin(9);
		writer.stringField(1, key);
		const mark = writer.begin(2);
		writer.stringField(1, value);
		writer.end(mark);
		writer.end(attribute);
	}),
	fc.constantFrom(
		// Lengths and tags in more bytes than they need; an attribute of none; unknown fields of every wire type.
		raw("2a82006f70"),
		raw("aa00026f70"),
		raw("308200"),
		raw("4a00"),
		raw("ca000412027879"),
		raw("f0d80107"),
		raw("dd3e01020304"),
		raw("d93e0102030405060708"),
		raw("e23e03616263"),
	),
);

export function spanIdOf(number: number): Uint8Array {
	return Uint8Array.of(0x11, 0, 0, 0, 0, 0, 0, number + 1);
}

const oddSpan: fc.Arbitrary<readonly Write[]> = fc
	.tuple(
		fc.nat({ max: 3 }),
		fc.nat({ max: 5 }),
		fc.array(oddField, { maxLength: 8 }),
		fc.array(fc.boolean(), { minLength: 2, maxLength: 2 }),
		fc.nat({ max: 9 }),
	)
	.map(([trace, span, fields, [traceTwice, spanTwice], at]) => {
		const traceId: Write = (writer) => writer.bytesField(1, Buffer.alloc(16, trace + 1));
		const spanId: Write = (writer) => writer.bytesField(2, spanIdOf(span));
		const all = [...fields];
		all.splice(at, 0, traceId);
		all.splice(at >> 1, 0, spanId);
		if (traceTwice === true && at === 7) all.push(traceId);
		if (spanTwice === true && at === 5) all.push(spanId);
		return all;
	});

export function requestOf(service: string, spans: readonly (readonly Write[])[]): Uint8Array {
	const writer = new WireWriter();
	const group = writer.begin(1);
	const resource = writer.begin(1);
	const attribute = writer.begin(1);
	writer.stringField(1, "service.name");
	const value = writer.begin(2);
	writer.stringField(1, service);
	for (const mark of [value, attribute, resource]) writer.end(mark);
	const scope = writer.begin(2);
	for (const fields of spans) {
		const span = writer.begin(2);
		for (const field of fields) field(writer);
		writer.end(span);
	}
	writer.end(scope);
	writer.end(group);
	return writer.finish();
}

export const oddRequest = fc
	.tuple(fc.constantFrom("cart", "shop", ""), fc.array(oddSpan, { minLength: 1, maxLength: 6 }))
	.map(([service, spans]) => requestOf(service, spans));

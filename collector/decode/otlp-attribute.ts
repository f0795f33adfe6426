/** The attribute that converters write: a text under a key, opentelemetry.proto.common.v1.KeyValue. */
import type { WireWriter } from "../../model/protobuf/writer.ts";

/** @param field that holds the attributes in the message being written */
export function writeAttribute(out: WireWriter, field: number, key: string, text: string): void {
	const attribute = out.begin(field);
	if (key !== "") out.stringField(1, key);
	const value = out.begin(2);
	out.stringField(1, text);
	out.end(value);
	out.end(attribute);
}

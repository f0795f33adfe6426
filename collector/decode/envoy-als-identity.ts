/**
 * Who sends an access log stream: the identifier of its first message, condensed to the few resource attributes that matter.
 *
 * Envoy sends its whole node once, tens of kilobytes with every extension it knows. What is kept of it here goes before each message
 * of the stream, so that a message can be converted by itself.
 * Field numbers: envoy/config/core/v3/base.proto Node, google/protobuf/struct.proto, envoy/service/accesslog/v3/als.proto.
 */
import { WIRE_LENGTH, WireReader } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { writeAttribute } from "./otlp-attribute.ts";

/** Longer ones are cut: they go before every message of the stream. */
const MAX_VALUE_CHARS = 256;
/** Struct fields that are looked at, in metadata and in its labels. */
const MAX_FIELDS = 1_024;

/** Resource attributes as OTLP KeyValues under field 1, ready to stand before the log entries of a message. */
export type AlsIdentity = Uint8Array<ArrayBuffer>;

export const NO_IDENTITY: AlsIdentity = new Uint8Array(0);

export interface AlsPayload {
	/** The stream's identity, and the entries of this message under the fields 2 and 3. */
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly identity: AlsIdentity;
}

/**
 * One StreamAccessLogsMessage with what is known of its sender in the place of its identifier.
 * @throws WireError
 */
export function alsPayload(message: Uint8Array, known: AlsIdentity): AlsPayload {
	let identity = known;
	const kept: [start: number, end: number][] = [];
	let size = 0;
	const reader = new WireReader(message);
	while (reader.next()) {
		const start = reader.tagStart;
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) {
			identity = readIdentity(reader.message());
			continue;
		}
		if (reader.field !== 1) reader.skip();
		if (reader.field !== 2 && reader.field !== 3) continue;
		// Neighbours are copied as one.
		const last = kept.at(-1);
		if (last?.[1] === start) last[1] = reader.position;
		else kept.push([start, reader.position]);
		size += reader.position - start;
	}
	const bytes = new Uint8Array(identity.length + size);
	bytes.set(identity);
	let at = identity.length;
	for (const [start, end] of kept) {
		bytes.set(message.subarray(start, end), at);
		at += end - start;
	}
	return { bytes, identity };
}

/** StreamAccessLogsMessage.Identifier */
function readIdentity(reader: WireReader): AlsIdentity {
	let logName = "";
	const node = { id: "", cluster: "", zone: "", metadata: new Map<string, string>() };
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) readNode(reader.message(), node);
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) logName = reader.string();
		else if (reader.field > 2) reader.skip();
	}
	const { metadata } = node;
	const namespace = metadata.get("NAMESPACE") ?? "";
	const service =
		metadata.get("LABELS.service.istio.io/canonical-name") ??
		metadata.get("LABELS.app.kubernetes.io/name") ??
		metadata.get("LABELS.app") ??
		metadata.get("WORKLOAD_NAME") ??
		node.cluster;
	// The names that Envoy's OpenTelemetry access log gives its resource, and those of the semantic conventions.
	const out = new WireWriter(512);
	const all: readonly (readonly [key: string, value: string])[] = [
		["service.name", service],
		["service.namespace", namespace],
		["k8s.workload.name", metadata.get("WORKLOAD_NAME") ?? ""],
		["k8s.cluster.name", metadata.get("CLUSTER_ID") ?? ""],
		["log_name", logName],
		["node_name", node.id],
		["cluster_name", node.cluster],
		["zone_name", node.zone],
	];
	for (const [key, value] of all) if (value !== "") writeAttribute(out, 1, key, value.slice(0, MAX_VALUE_CHARS));
	return out.finish();
}

const WANTED: ReadonlySet<string> = new Set(["NAMESPACE", "WORKLOAD_NAME", "CLUSTER_ID"]);
const WANTED_LABELS: ReadonlySet<string> = new Set(["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]);

function readNode(reader: WireReader, node: { id: string; cluster: string; zone: string; metadata: Map<string, string> }): void {
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) node.id = reader.string();
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) node.cluster = reader.string();
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) readStruct(reader.message(), "", WANTED, node.metadata);
		else if (reader.field === 4 && reader.is(WIRE_LENGTH)) node.zone = readZone(reader.message());
		else if (reader.field > 4) reader.skip();
	}
}

function readZone(reader: WireReader): string {
	let zone = "";
	while (reader.next()) {
		if (reader.field === 2 && reader.is(WIRE_LENGTH)) zone = reader.string();
		else if (reader.field !== 2) reader.skip();
	}
	return zone;
}

/** Texts of a Struct under wanted keys; of the structs in it, only LABELS at the top is entered. */
function readStruct(reader: WireReader, prefix: string, wanted: ReadonlySet<string>, into: Map<string, string>): void {
	for (let fields = 0; reader.next() && fields < MAX_FIELDS; fields++) {
		if (reader.field !== 1) {
			reader.skip();
			continue;
		}
		if (!reader.is(WIRE_LENGTH)) continue;
		const entry = reader.message();
		let key = "";
		let value: WireReader | undefined;
		while (entry.next()) {
			if (entry.field === 1 && entry.is(WIRE_LENGTH)) key = entry.string();
			else if (entry.field === 2 && entry.is(WIRE_LENGTH)) value = entry.message();
			else if (entry.field > 2) entry.skip();
		}
		const isLabels = prefix === "" && key === "LABELS";
		if (value === undefined || !(isLabels || wanted.has(key))) continue;
		while (value.next()) {
			if (value.field === 3 && value.is(WIRE_LENGTH)) {
				const text = value.string();
				if (text !== "") into.set(prefix + key, text);
			} else if (value.field === 5 && isLabels && value.is(WIRE_LENGTH)) {
				readStruct(value.message(), "LABELS.", WANTED_LABELS, into);
			} else if (value.field !== 3) {
				value.skip();
			}
		}
	}
}

/**
 * Messages of Envoy's gRPC access log service to an ExportLogsServiceRequest: a log record an entry, with the attributes that are
 * documented for Envoy's OpenTelemetry access log, so that everything behind is one path.
 *
 * An entry does not say on which side of its proxy it was made. The upstream cluster does where Istio named it, else the log's name,
 * and a custom tag before both. The other two tags that are the resource's, not the record's, are service.name and service.namespace.
 */
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import { bytesFromHex } from "../../model/ids.ts";
import { WIRE_LENGTH, WireError, WireReader } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { directionOfCluster } from "../../model/topology/sources/envoy-log.ts";
import { AlsEntry } from "./envoy-als-entry.ts";
import type { DecodeLimits } from "./limits.ts";
import { writeAttribute } from "./otlp-attribute.ts";
import type { TranscodeResult } from "./otlp-json.ts";

const MAX_MESSAGES = 8;
const MAX_TIME = (1n << 64n) - 1n;
/** A custom tag of these names describes the proxy, and takes the place of what its node says. */
const RESOURCE_TAGS = ["service.name", "service.namespace", "meshscope.direction"] as const;

/**
 * @param bytes as `alsPayload` leaves them: resource attributes under field 1, then http_logs and tcp_logs
 * @throws MeshscopeError `malformed_payload` when the bytes are no such message, `payload_too_large` beyond the limit of records
 */
export function envoyAlsToProtobuf(bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits): TranscodeResult {
	const transcoder = new Transcoder(limits);
	try {
		transcoder.read(new WireReader(bytes));
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
		throw new MeshscopeError("malformed_payload", `Envoy access log message: ${error.message}`);
	}
	return transcoder.finish();
}

class Transcoder {
	private readonly limits: DecodeLimits;
	private readonly resource = new Map<string, string>();
	/** Log records back to back; `ends[i]` closes the i-th, `groups[i]` is the number of its resource. */
	private readonly records = new WireWriter(64 * 1024);
	private readonly ends: number[] = [];
	private readonly groups: number[] = [];
	private readonly groupNumbers = new Map<string, number>();
	private readonly groupTags: (readonly string[])[] = [];
	private readonly dropped: Partial<Record<DropReason, number>> = {};
	private readonly messages: string[] = [];
	private met = 0;
	private invalidUtf8Strings = 0;

	constructor(limits: DecodeLimits) {
		this.limits = limits;
	}

	/** The resource stands before the entries, which need it. */
	read(message: WireReader): void {
		while (message.next()) {
			if (message.field === 1 && message.is(WIRE_LENGTH)) this.readResourceAttribute(message.message());
			else if (message.field === 2 && message.is(WIRE_LENGTH)) this.readEntries("http", message.message());
			else if (message.field === 3 && message.is(WIRE_LENGTH)) this.readEntries("tcp", message.message());
			else if (message.field > 3) message.skip();
		}
	}

	finish(): TranscodeResult {
		const records = this.records.finish();
		const members: number[][] = this.groupTags.map(() => []);
		for (const [i, group] of this.groups.entries()) members[group]!.push(i);
		const out = new WireWriter(records.length + 1024);
		for (const [group, tags] of this.groupTags.entries()) {
			const attributes = new Map(this.resource);
			for (const [i, key] of RESOURCE_TAGS.entries()) if (tags[i]! !== "") attributes.set(key, tags[i]!);
			const resourceLogs = out.begin(1);
			const resource = out.begin(1);
			for (const [key, value] of attributes) writeAttribute(out, 1, key, value);
			out.end(resource);
			const scopeLogs = out.begin(2);
			for (const i of members[group]!) out.bytesField(2, records, i === 0 ? 0 : this.ends[i - 1]!, this.ends[i]!);
			out.end(scopeLogs);
			out.end(resourceLogs);
		}
		const { dropped, messages, invalidUtf8Strings } = this;
		return { bytes: out.finish(), dropped, messages, invalidUtf8Strings };
	}

	private readResourceAttribute(reader: WireReader): void {
		let key = "";
		let text = "";
		while (reader.next()) {
			if (reader.field === 1 && reader.is(WIRE_LENGTH)) key = reader.string();
			else if (reader.field === 2 && reader.is(WIRE_LENGTH)) {
				const value = reader.message();
				while (value.next()) {
					if (value.field === 1 && value.is(WIRE_LENGTH)) text = value.string();
					else if (value.field !== 1) value.skip();
				}
			} else if (reader.field > 2) reader.skip();
		}
		if (text.includes("\ufffd")) this.invalidUtf8Strings++;
		this.resource.set(key, text);
	}

	private readEntries(kind: "http" | "tcp", list: WireReader): void {
		while (list.next()) {
			if (list.field !== 1) {
				list.skip();
				continue;
			}
			if (!list.is(WIRE_LENGTH)) continue;
			const reader = list.message();
			if (++this.met > this.limits.maxRecords) {
				throw new MeshscopeError(
					"payload_too_large",
					`the message holds more than ${this.limits.maxRecords} log entries; lower buffer_size_bytes of Envoy's access logger`,
				);
			}
			const size = reader.end - reader.position;
			if (size > this.limits.maxRecordBytes) this.drop("record_too_large", `${size} bytes`);
			else this.readEntry(kind, reader);
		}
	}

	private readEntry(kind: "http" | "tcp", reader: WireReader): void {
		let entry: AlsEntry;
		try {
			entry = new AlsEntry(kind, reader);
		} catch (error) {
			if (!(error instanceof WireError)) throw error;
			return this.drop("malformed_record", error.message);
		}
		if (entry.timeNs > MAX_TIME) return this.drop("malformed_record", "start_time out of range");
		this.invalidUtf8Strings += entry.invalidUtf8;
		const direction = directionOf(entry, this.resource.get("log_name") ?? "");
		const tags = RESOURCE_TAGS.map((key) => entry.attributes.get(key) ?? (key === "meshscope.direction" ? direction : ""));
		const name = JSON.stringify(tags);
		let group = this.groupNumbers.get(name);
		if (group === undefined) {
			this.groupNumbers.set(name, (group = this.groupTags.length));
			this.groupTags.push(tags);
		}
		for (const key of RESOURCE_TAGS) entry.attributes.delete(key);
		writeRecord(this.records, entry);
		this.ends.push(this.records.length);
		this.groups.push(group);
	}

	private drop(reason: DropReason, problem: string): void {
		this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
		if (this.messages.length < MAX_MESSAGES) this.messages.push(`[${this.met - 1}]: ${problem}`);
	}
}

function directionOf(entry: AlsEntry, logName: string): string {
	const said = directionOfCluster(entry.attributes.get("upstream_cluster") ?? "");
	if (said !== undefined) return said;
	return /(?:^|[^a-z])(inbound|outbound)(?:$|[^a-z])/.exec(logName)?.[1] ?? "";
}

/** opentelemetry.proto.logs.v1.LogRecord */
function writeRecord(out: WireWriter, entry: AlsEntry): void {
	if (entry.timeNs !== 0n) out.fixed64Field(1, entry.timeNs);
	const traceId = traceIdOf(entry);
	for (const [key, value] of entry.attributes) writeAttribute(out, 6, key, value);
	if (traceId !== undefined) out.bytesField(9, bytesFromHex(traceId));
}

/**
 * An entry has no field for its trace: a custom tag `trace_id` (`%TRACE_ID%`) or a logged trace header says it. The span id in such a
 * header may be that of the caller's span, so that it is left out.
 */
function traceIdOf(entry: AlsEntry): string | undefined {
	const { requestHeaders: headers } = entry;
	const found =
		/^(?:[0-9a-f]{16}){1,2}$/.exec(entry.attributes.get("trace_id") ?? "")?.[0] ??
		/^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(headers.get("traceparent") ?? "")?.[1] ??
		/^((?:[0-9a-f]{16}){1,2})-/.exec(headers.get("b3") ?? "")?.[1] ??
		/^(?:[0-9a-f]{16}){1,2}$/.exec(headers.get("x-b3-traceid") ?? "")?.[0];
	return found === undefined || /^0+$/.test(found) ? undefined : found.padStart(32, "0");
}

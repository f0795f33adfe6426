/**
 * Spans of one workload, encoded one behind the other, and what makes an export request of them. The chunk is written once and sent as
 * it is, again and again if need be: the collector knows a batch that it had by its bytes.
 */
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { Workload } from "../../model/mesh/proxy-config.ts";
import { writeAttribute } from "./span-templates.ts";

export const SCOPE_NAME = "meshscope-shim";

const GRPC_PREFIX_BYTES = 5;
const INITIAL_BYTES = 16 << 10;
/** A tag and the length of a message below 2^28 bytes. */
const MAX_TAG_BYTES = 5;

export interface ResourceOptions {
	/** Of Kubernetes or the like; empty for none. */
	readonly cluster: string;
	readonly version: string;
}

/** Field `resource` of ResourceSpans and ResourceMetrics (1), tag and all. */
export function encodeResource(workload: Workload, { cluster, version }: ResourceOptions): Uint8Array {
	const writer = new WireWriter(512);
	const mark = writer.begin(1);
	for (const [key, value] of [
		["service.name", workload.service || workload.workload],
		["service.namespace", workload.namespace],
		["service.version", workload.version],
		["service.instance.id", workload.instanceId],
		["meshscope.workload", workload.workload],
		["k8s.cluster.name", cluster],
		["telemetry.sdk.name", SCOPE_NAME],
		["telemetry.sdk.language", "nodejs"],
		["telemetry.sdk.version", version],
	] as const)
		if (value !== "") writeAttribute(writer, 1, key, value);
	writer.end(mark);
	return writer.finish();
}

/** Field `scope` of ScopeSpans and ScopeMetrics (1), tag and all. */
export function encodeScope(version: string): Uint8Array {
	const writer = new WireWriter(64);
	const mark = writer.begin(1);
	writer.stringField(1, SCOPE_NAME);
	if (version !== "") writer.stringField(2, version);
	writer.end(mark);
	return writer.finish();
}

export class SpanChunk {
	bytes: Buffer<ArrayBuffer>;
	view: DataView;
	/** Where the next span begins. */
	length: number;
	spans = 0;
	private readonly resource: Uint8Array;
	private readonly scope: Uint8Array;
	/** Room for what stands before the spans and cannot be written before their size is known. */
	private readonly headroom: number;

	constructor(resource: Uint8Array, scope: Uint8Array, bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)) {
		this.resource = resource;
		this.scope = scope;
		this.headroom = GRPC_PREFIX_BYTES + 2 * MAX_TAG_BYTES + resource.length + scope.length;
		this.bytes = bytes;
		this.view = viewOf(bytes);
		this.length = this.headroom;
		this.reserve(0);
	}

	get spanBytes(): number {
		return this.length - this.headroom;
	}

	/** Makes sure that this many bytes can be written from `length` on. */
	reserve(count: number): void {
		const needed = this.length + count;
		if (needed <= this.bytes.length) return;
		const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
		larger.set(this.bytes.subarray(0, this.length));
		this.bytes = larger;
		this.view = viewOf(larger);
	}

	/** The gRPC message of an ExportTraceServiceRequest; a view of `bytes`, which must not be written to from now on. */
	seal(): Buffer<ArrayBuffer> {
		const { resource, scope, bytes, length, headroom } = this;
		const scopeSpansLength = scope.length + (length - headroom);
		const resourceSpansLength = resource.length + 1 + varintSize(scopeSpansLength) + scopeSpansLength;
		const messageLength = 1 + varintSize(resourceSpansLength) + resourceSpansLength;
		const start = length - messageLength - GRPC_PREFIX_BYTES;
		let at = start;
		bytes[at++] = 0;
		this.view.setUint32(at, messageLength);
		at = writeLength(bytes, at + 4, 1, resourceSpansLength);
		bytes.set(resource, at);
		at = writeLength(bytes, at + resource.length, 2, scopeSpansLength);
		bytes.set(scope, at);
		return bytes.subarray(start, length);
	}
}

function viewOf(bytes: Buffer<ArrayBuffer>): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeLength(bytes: Uint8Array, start: number, field: number, length: number): number {
	let at = start;
	bytes[at++] = field * 8 + 2;
	let rest = length;
	for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
	bytes[at++] = rest;
	return at;
}

export function varintSize(value: number): number {
	return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

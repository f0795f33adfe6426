/**
 * What Envoy sidecars under Istio send: OTLP trace requests of ten-span traces, two spans a hop, 17 attributes a span, about 749
 * bytes a span on the wire.
 *
 * Requests are encoded once into templates whose changing fields have a fixed width. `fill` copies a template and writes fresh trace
 * ids, span ids, request ids, times, entity ids and sizes over it, so that the generator costs a fraction of what it measures.
 * The caller owns the buffers it passes in; a template is never changed.
 */
import { Buffer } from "node:buffer";
import { randomFillSync } from "node:crypto";
import { type Hop, type Mesh, type TraceShape, createMesh, createTraceShape, logNormal, seededRandom } from "./mesh.ts";
import { WireWriter } from "./wire.ts";

/**
 * `mixed`: traces are complete in their request, as an agent's batch processor sends them. `scattered`: each request carries what
 * few services sent, so that a trace arrives in several requests.
 */
export type Layout = "mixed" | "scattered";

export interface PayloadOptions {
	readonly layout: Layout;
	readonly spansPerRequest: number;
	/** Requests with a layout of their own, to choose from at random. */
	readonly templates: number;
	readonly seed: number;
}

/** A gRPC message has this many bytes in front of it; templates leave room for them, HTTP skips them. */
export const GRPC_PREFIX_BYTES = 5;
/** What scattered traces are spread over. */
const SCATTERED_REQUESTS = 8;
const SPAN_KIND = { server: 2, client: 3 } as const;
const STATUS_ERROR = 2;

interface SpanSlot {
	readonly trace: number;
	/** Index of the hop within the group, for what both halves of it share. */
	readonly hop: number;
	/** Index of the parent among the group's spans, or -1. */
	readonly parent: number;
	readonly kind: number;
	readonly service: number;
	readonly pod: number;
	readonly startNs: number;
	readonly endNs: number;
}

/** Where the changing fields of a request's spans lie; one entry a span in the order of the bytes, -1 where a field is absent. */
export interface RequestTemplate {
	/** With the gRPC prefix in front. */
	readonly bytes: Buffer<ArrayBuffer>;
	readonly spanCount: number;
	readonly slot: Int32Array;
	readonly traceIdAt: Int32Array;
	readonly spanIdAt: Int32Array;
	readonly parentIdAt: Int32Array;
	readonly startAt: Int32Array;
	readonly requestIdAt: Int32Array;
	readonly entityAt: Int32Array;
	readonly requestSizeAt: Int32Array;
	readonly responseSizeAt: Int32Array;
}

export interface GroupTemplate {
	readonly requests: readonly RequestTemplate[];
	readonly traces: readonly TraceShape[];
	readonly spanCount: number;
	readonly trace: Int32Array;
	readonly hop: Int32Array;
	readonly parent: Int32Array;
	readonly startNs: Float64Array;
	readonly endNs: Float64Array;
	readonly traceNs: Float64Array;
}

export interface Payload {
	readonly mesh: Mesh;
	readonly groups: readonly GroupTemplate[];
	readonly meanSpanBytes: number;
	readonly attributesPerSpan: number;
}

/** Ids that `fill` drew, by trace of the group. Overwritten by the next `fill`. */
export interface FreshIds {
	/** Four words a trace, as their bytes lie in the request. */
	readonly traceIds: Uint32Array;
	/** 36 bytes of text a trace. */
	readonly requestIds: Uint8Array;
}

export function createPayload(options: PayloadOptions): Payload {
	const random = seededRandom(options.seed);
	const mesh = createMesh(random);
	const encoder = new SpanEncoder(mesh);
	const groups = Array.from({ length: Math.ceil(options.templates / requestsPerGroup(options.layout)) }, () =>
		createGroup(mesh, encoder, options, random),
	);
	let bytes = 0;
	let spans = 0;
	for (const group of groups) {
		spans += group.spanCount;
		for (const request of group.requests) bytes += request.bytes.length - GRPC_PREFIX_BYTES;
	}
	return { mesh, groups, meanSpanBytes: bytes / spans, attributesPerSpan: encoder.attributesPerSpan };
}

function requestsPerGroup(layout: Layout): number {
	return layout === "mixed" ? 1 : SCATTERED_REQUESTS;
}

function createGroup(mesh: Mesh, encoder: SpanEncoder, options: PayloadOptions, random: () => number): GroupTemplate {
	const requests = requestsPerGroup(options.layout);
	const traces = Array.from({ length: Math.max(1, Math.round((options.spansPerRequest * requests) / 10)) }, () =>
		createTraceShape(mesh, random),
	);
	const slots = traces.flatMap((shape, trace) => slotsOf(shape, trace));
	const order = slots
		.map((_, index) => index)
		.sort((a, b) => slots[a]!.service - slots[b]!.service || slots[a]!.pod - slots[b]!.pod);
	const chunk = Math.ceil(slots.length / requests);
	const hops = traces.flatMap((shape) => shape.hops);
	return {
		requests: Array.from({ length: requests }, (_, index) =>
			encodeRequest(mesh, encoder, slots, hops, order.slice(index * chunk, (index + 1) * chunk)),
		).filter((request) => request.spanCount > 0),
		traces,
		spanCount: slots.length,
		trace: Int32Array.from(slots, (slot) => slot.trace),
		hop: Int32Array.from(slots, (slot) => slot.hop),
		parent: Int32Array.from(slots, (slot) => slot.parent),
		startNs: Float64Array.from(slots, (slot) => slot.startNs),
		endNs: Float64Array.from(slots, (slot) => slot.endNs),
		traceNs: Float64Array.from(traces, (shape) => shape.hops[0]!.clientEndNs),
	};
}

/** The spans of hop h are numbers 2h (CLIENT) and 2h + 1 (SERVER) of their trace. */
function slotsOf(shape: TraceShape, trace: number): SpanSlot[] {
	const count = shape.hops.length;
	const firstSpan = trace * count * 2;
	return shape.hops.flatMap((hop, index): SpanSlot[] => {
		const shared = { trace, hop: trace * count + index };
		const client = firstSpan + 2 * index;
		const parent = hop.parentHop < 0 ? -1 : firstSpan + 2 * hop.parentHop + 1;
		return [
			{
				...shared,
				parent,
				kind: SPAN_KIND.client,
				service: hop.caller,
				pod: hop.callerPod,
				startNs: hop.clientStartNs,
				endNs: hop.clientEndNs,
			},
			{
				...shared,
				parent: client,
				kind: SPAN_KIND.server,
				service: hop.callee,
				pod: hop.calleePod,
				startNs: hop.serverStartNs,
				endNs: hop.serverEndNs,
			},
		];
	});
}

const PATCHES = [
	"traceIdAt",
	"spanIdAt",
	"parentIdAt",
	"startAt",
	"requestIdAt",
	"entityAt",
	"requestSizeAt",
	"responseSizeAt",
] as const;
type Patches = Record<(typeof PATCHES)[number], number>;

/** One ResourceSpans a pod, each with one ScopeSpans: what a sidecar exports by itself, gathered. */
function encodeRequest(
	mesh: Mesh,
	encoder: SpanEncoder,
	slots: readonly SpanSlot[],
	hops: readonly Hop[],
	members: readonly number[],
): RequestTemplate {
	const out = new WireWriter();
	const columns = Object.fromEntries(PATCHES.map((name) => [name, new Int32Array(members.length).fill(-1)])) as Record<
		keyof Patches,
		Int32Array
	>;
	const scopeSpans = new WireWriter();
	const resourceSpans = new WireWriter();
	out.room(GRPC_PREFIX_BYTES);
	let next = 0;
	while (next < members.length) {
		const first = next;
		const { service, pod } = slots[members[first]!]!;
		scopeSpans.reset();
		scopeSpans.message(1, encoder.scope);
		for (; next < members.length; next++) {
			const slot = slots[members[next]!]!;
			if (slot.service !== service || slot.pod !== pod) break;
			const patches = encoder.encode(slot, hops[slot.hop]!);
			const at = scopeSpans.message(2, encoder.view());
			for (const name of PATCHES) columns[name][next] = patches[name] < 0 ? -1 : patches[name] + at;
		}
		resourceSpans.reset();
		resourceSpans.message(1, encoder.resource(mesh.services[service]!.serviceName));
		const scopeAt = resourceSpans.message(2, scopeSpans.view());
		const resourceAt = out.message(1, resourceSpans.view());
		for (let i = first; i < next; i++) {
			for (const name of PATCHES) if (columns[name][i]! >= 0) columns[name][i]! += scopeAt + resourceAt;
		}
	}
	const bytes = Buffer.from(out.view());
	bytes.writeUInt32BE(bytes.length - GRPC_PREFIX_BYTES, 1);
	return { bytes, spanCount: members.length, slot: Int32Array.from(members), ...columns };
}

/** Encodes one span at a time into a scratch buffer that the next call overwrites. */
class SpanEncoder {
	readonly scope: Uint8Array;
	attributesPerSpan = 0;
	private readonly mesh: Mesh;
	private readonly out = new WireWriter();

	constructor(mesh: Mesh) {
		this.mesh = mesh;
		const scope = new WireWriter();
		scope.text(1, "envoy");
		scope.text(2, "1.36.2");
		this.scope = Uint8Array.from(scope.view());
	}

	view(): Uint8Array {
		return this.out.view();
	}

	resource(serviceName: string): Uint8Array {
		const out = new WireWriter();
		out.attribute(1, "service.name", serviceName);
		return out.view();
	}

	encode(slot: SpanSlot, hop: Hop): Patches {
		const out = this.out;
		out.reset();
		const client = slot.kind === SPAN_KIND.client;
		const caller = this.mesh.services[hop.caller]!;
		const callee = this.mesh.services[hop.callee]!;
		const own = this.mesh.services[slot.service]!;
		const ownPod = own.pods[slot.pod]!;
		const operation = callee.operations[hop.operation]!;
		const cluster = client ? `outbound|${callee.port}||${callee.host}` : `inbound|${callee.port}||`;
		const error = hop.statusCode >= 500;

		const traceIdAt = id(out, 1, 16);
		const spanIdAt = id(out, 2, 8);
		const parentIdAt = slot.parent < 0 ? -1 : id(out, 4, 8);
		out.text(5, operation.spanName);
		out.tag(6, 0);
		out.varint(slot.kind);
		out.tag(7, 1);
		const startAt = out.room(8);
		out.tag(8, 1);
		out.room(8);
		let attributes = 0;
		const add = (key: string, value: string): number => {
			attributes++;
			return out.attribute(9, key, value);
		};
		add("node_id", ownPod.nodeId);
		add("zone", ownPod.zone);
		const requestIdAt = add("guid:x-request-id", "0".repeat(36));
		const url = `http://${callee.app}:${callee.port}${operation.path}`;
		const urlAt = add("http.url", operation.hasEntity ? `${url}0000` : url);
		add("http.method", operation.method);
		add("downstream_cluster", "-");
		add("user_agent", caller.userAgent);
		add("http.protocol", "HTTP/1.1");
		add("peer.address", caller.pods[hop.callerPod]!.ip);
		const requestSizeAt = add("request_size", hop.requestSizeDigits === 0 ? "0" : "1".repeat(hop.requestSizeDigits));
		const responseSizeAt = add("response_size", "1".repeat(hop.responseSizeDigits));
		add("component", "proxy");
		add("upstream_cluster", cluster);
		add("upstream_cluster.name", `${cluster};`);
		add("http.status_code", String(hop.statusCode));
		add("response_flags", hop.responseFlags);
		add("istio.canonical_service", own.app);
		this.attributesPerSpan = attributes;
		if (error) {
			add("error", "true");
			out.message(15, new Uint8Array([3 << 3, STATUS_ERROR]));
		}
		return {
			traceIdAt,
			spanIdAt,
			parentIdAt,
			startAt,
			requestIdAt,
			entityAt: operation.hasEntity ? urlAt + Buffer.byteLength(url) : -1,
			requestSizeAt: hop.requestSizeDigits === 0 ? -1 : requestSizeAt + hop.requestSizeDigits - 4,
			responseSizeAt: responseSizeAt + hop.responseSizeDigits - 4,
		};
	}
}

function id(out: WireWriter, field: number, bytes: number): number {
	out.tag(field, 2);
	out.varint(bytes);
	return out.room(bytes);
}

/** ASCII of 0000 to 9999, and of a byte in hex, as little-endian words: one store instead of four. */
const FOUR_DIGITS = Uint32Array.from({ length: 10_000 }, (_, value) =>
	Buffer.from(String(value).padStart(4, "0")).readUInt32LE(0),
);
const HEX_OF_BYTE = Uint16Array.from({ length: 256 }, (_, value) =>
	Buffer.from(value.toString(16).padStart(2, "0")).readUInt16LE(0),
);
/** Slower and faster days: a trace's times are all scaled by one of these. Between 0.4 and 3, so that jitter never unnests a span. */
const SCALES = ((): Float64Array => {
	const random = seededRandom(7);
	return Float64Array.from({ length: 4096 }, () => Math.min(3, Math.max(0.4, logNormal(random, 1, 0.35))));
})();
const WORD = 4294967296;
/** Proxies flush within seconds: traces of a request ended at any time of the last second. */
const FLUSH_NS = 1e9;
const DASH = 45;

/** Scratch of one generator; grows to the largest group. */
export class PayloadFiller implements FreshIds {
	traceIds = new Uint32Array(0);
	requestIds = new Uint8Array(0);
	private requestIdWords = new Uint32Array(0);
	private spanIds = new Uint32Array(0);
	private jitter = new Uint32Array(0);
	/** By hop: entity id, request size, response size. */
	private hopDigits = new Uint32Array(0);
	private traceRandom = new Uint32Array(0);
	private traceBaseNs = new Float64Array(0);
	private traceScale = new Float64Array(0);

	/**
	 * Writes every request of a group, fresh, into the buffers.
	 * @param out one a request of the group, each at least as long as its template
	 * @param nowMs the clock
	 */
	fill(group: GroupTemplate, out: readonly Buffer<ArrayBuffer>[], nowMs: number): void {
		this.draw(group);
		const nowNs = BigInt(nowMs) * 1_000_000n;
		const nowHigh = Number(nowNs >> 32n);
		const nowLow = Number(nowNs & 0xffffffffn);
		for (let i = 0; i < group.requests.length; i++) this.fillRequest(group, group.requests[i]!, out[i]!, nowHigh, nowLow);
	}

	/** Cryptographic randomness for ids: it is what senders use, and nothing compresses it. */
	private draw(group: GroupTemplate): void {
		const traces = group.traces.length;
		const hops = group.spanCount / 2;
		if (this.spanIds.length < group.spanCount * 2) {
			this.spanIds = new Uint32Array(group.spanCount * 2);
			this.jitter = new Uint32Array(group.spanCount);
			this.hopDigits = new Uint32Array(hops * 3);
			this.traceIds = new Uint32Array(traces * 4);
			this.traceRandom = new Uint32Array(traces * 6);
			this.requestIdWords = new Uint32Array(traces * 9);
			this.requestIds = new Uint8Array(this.requestIdWords.buffer);
			this.traceBaseNs = new Float64Array(traces);
			this.traceScale = new Float64Array(traces);
		}
		randomFillSync(this.spanIds);
		randomFillSync(this.jitter);
		randomFillSync(this.traceIds);
		randomFillSync(this.traceRandom);
		randomFillSync(this.hopDigits);
		for (let hop = 0; hop < hops * 3; hop += 3) {
			this.hopDigits[hop] = FOUR_DIGITS[this.hopDigits[hop]! % 10_000]!;
			// Sizes have no leading zero.
			this.hopDigits[hop + 1] = FOUR_DIGITS[1_000 + (this.hopDigits[hop + 1]! % 9_000)]!;
			this.hopDigits[hop + 2] = FOUR_DIGITS[1_000 + (this.hopDigits[hop + 2]! % 9_000)]!;
		}
		for (let trace = 0; trace < traces; trace++) {
			const scale = SCALES[this.traceRandom[trace * 6]! & 4095]!;
			this.traceScale[trace] = scale;
			this.traceBaseNs[trace] = -group.traceNs[trace]! * scale - (this.traceRandom[trace * 6 + 1]! / WORD) * FLUSH_NS;
			writeUuid(this.requestIds, trace * 36, this.traceRandom, trace * 6 + 2);
		}
	}

	private fillRequest(
		group: GroupTemplate,
		request: RequestTemplate,
		out: Buffer<ArrayBuffer>,
		nowHigh: number,
		nowLow: number,
	): void {
		out.set(request.bytes);
		const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
		const { slot, traceIdAt, spanIdAt, parentIdAt, startAt, requestIdAt, entityAt, requestSizeAt, responseSizeAt } = request;
		const { trace: traceOf, hop: hopOf, parent: parentOf, startNs, endNs } = group;
		const { traceIds, spanIds, requestIdWords, hopDigits, jitter, traceBaseNs, traceScale } = this;
		for (let i = 0; i < request.spanCount; i++) {
			const span = slot[i]!;
			const trace = traceOf[span]!;
			let at = traceIdAt[i]!;
			for (let word = 0; word < 4; word++) view.setUint32(at + word * 4, traceIds[trace * 4 + word]!, true);
			at = spanIdAt[i]!;
			view.setUint32(at, spanIds[span * 2]!, true);
			view.setUint32(at + 4, spanIds[span * 2 + 1]!, true);
			at = parentIdAt[i]!;
			if (at >= 0) {
				const parent = parentOf[span]!;
				view.setUint32(at, spanIds[parent * 2]!, true);
				view.setUint32(at + 4, spanIds[parent * 2 + 1]!, true);
			}
			const scale = traceScale[trace]!;
			const baseNs = nowLow + traceBaseNs[trace]!;
			const low = jitter[span]!;
			const start = Math.floor(baseNs + startNs[span]! * scale) + (low & 4095);
			const end = Math.floor(baseNs + endNs[span]! * scale) + ((low >>> 12) & 4095);
			at = startAt[i]!;
			// setUint32 takes its argument modulo 2^32, so the carry is all that is left to do; the end's tag byte lies between.
			view.setUint32(at, start, true);
			view.setUint32(at + 4, nowHigh + Math.floor(start / WORD), true);
			view.setUint32(at + 9, end, true);
			view.setUint32(at + 13, nowHigh + Math.floor(end / WORD), true);
			at = requestIdAt[i]!;
			for (let word = 0; word < 9; word++) view.setUint32(at + word * 4, requestIdWords[trace * 9 + word]!, true);
			const hop = hopOf[span]! * 3;
			if (entityAt[i]! >= 0) view.setUint32(entityAt[i]!, hopDigits[hop]!, true);
			if (requestSizeAt[i]! >= 0) view.setUint32(requestSizeAt[i]!, hopDigits[hop + 1]!, true);
			view.setUint32(responseSizeAt[i]!, hopDigits[hop + 2]!, true);
		}
	}
}

/** A version 4 UUID as text from four random words. */
function writeUuid(out: Uint8Array, at: number, random: Uint32Array, from: number): void {
	let to = at;
	for (let byte = 0; byte < 16; byte++) {
		let value = (random[from + (byte >> 2)]! >>> ((byte & 3) * 8)) & 255;
		if (byte === 6) value = (value & 15) | 64;
		if (byte === 8) value = (value & 63) | 128;
		if (byte === 4 || byte === 6 || byte === 8 || byte === 10) out[to++] = DASH;
		const pair = HEX_OF_BYTE[value]!;
		out[to++] = pair & 255;
		out[to++] = pair >>> 8;
	}
}

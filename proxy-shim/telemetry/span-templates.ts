/**
 * The bytes that spans of one edge have in common, encoded once. A hop finds its template by comparison of fields, most of which are
 * the very same strings as last time; the table is direct-mapped, so that a flood of edges costs time and no memory.
 */
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { HopTls, HttpHop } from "./hop.ts";
import { type AttributeValue, isErrorSpan, repeatedAttributes, spanName } from "./span-attributes.ts";

export interface SpanTemplate {
	readonly hop: HttpHop;
	/** Fields `name` and `kind`. */
	readonly head: Uint8Array;
	/** Fields `attributes`. */
	readonly attributes: Uint8Array;
	readonly isError: boolean;
}

const NAME = 5;
const KIND = 6;
const ATTRIBUTES = 9;
const KIND_SERVER = 2;
const KIND_CLIENT = 3;

/** Some 1 KiB each. */
const SLOTS = 1024;

export class SpanTemplates {
	private readonly slots = new Array<SpanTemplate | undefined>(SLOTS).fill(undefined);
	/** How often one was made: a test's and a person's sign that the table is too small. */
	made = 0;

	of(hop: HttpHop): SpanTemplate {
		const slot = slotOf(hop);
		const known = this.slots[slot];
		if (known !== undefined && isSameEdge(known.hop, hop)) return known;
		this.made++;
		return (this.slots[slot] = templateOf(hop));
	}
}

function slotOf(hop: HttpHop): number {
	const { peer, path, method, upstreamCluster } = hop;
	let hash = hop.status * 31 + (hop.grpcStatus ?? 17);
	hash = Math.imul(hash, 31) + method.charCodeAt(0) + method.length;
	hash = Math.imul(hash, 31) + textHash(peer.address);
	hash = Math.imul(hash, 31) + textHash(upstreamCluster);
	hash = Math.imul(hash, 31) + hop.responseFlags.length;
	if (hop.direction === "outbound") hash = Math.imul(hash, 31) + peer.port;
	if (hop.isGrpc) hash = Math.imul(hash, 31) + textHash(path);
	return (hash ^ (hash >>> 13) ^ (hash >>> 22)) & (SLOTS - 1);
}

/** Length, both ends and the middle: what tells addresses and names apart for the price of four reads. */
function textHash(text: string): number {
	const { length } = text;
	if (length === 0) return 0;
	const ends = text.charCodeAt(length - 1) + 131 * text.charCodeAt(length >> 1) + 17 * text.charCodeAt(length >> 2);
	return ends * 31 + length;
}

function isSameEdge(a: HttpHop, b: HttpHop): boolean {
	return (
		a.status === b.status &&
		a.grpcStatus === b.grpcStatus &&
		a.direction === b.direction &&
		a.isGrpc === b.isGrpc &&
		a.fellBack === b.fellBack &&
		a.faultInjected === b.faultInjected &&
		a.failedHandshakes === b.failedHandshakes &&
		a.method === b.method &&
		a.upstreamCluster === b.upstreamCluster &&
		a.authority === b.authority &&
		a.scheme === b.scheme &&
		a.protocolVersion === b.protocolVersion &&
		a.route === b.route &&
		a.subset === b.subset &&
		a.lbPolicy === b.lbPolicy &&
		a.mtlsMode === b.mtlsMode &&
		a.breakerState === b.breakerState &&
		a.responseFlags === b.responseFlags &&
		a.authzPolicy === b.authzPolicy &&
		a.authzDecision === b.authzDecision &&
		a.configVersion === b.configVersion &&
		a.peer.address === b.peer.address &&
		a.peer.service === b.peer.service &&
		a.peer.namespace === b.peer.namespace &&
		(!a.isGrpc || a.path === b.path) &&
		(a.tls === b.tls || isSameTls(a.tls, b.tls))
	);
}

function isSameTls(a: HopTls, b: HopTls): boolean {
	return (
		a.status === b.status &&
		a.version === b.version &&
		a.cipher === b.cipher &&
		a.clientPrincipal === b.clientPrincipal &&
		a.serverPrincipal === b.serverPrincipal &&
		a.clientSubject === b.clientSubject &&
		a.serverSubject === b.serverSubject &&
		a.clientNotAfterMs === b.clientNotAfterMs &&
		a.serverNotAfterMs === b.serverNotAfterMs &&
		a.peerVerified === b.peerVerified &&
		a.noTlsReason === b.noTlsReason
	);
}

function templateOf(hop: HttpHop): SpanTemplate {
	const head = new WireWriter(64);
	head.stringField(NAME, spanName(hop));
	head.varintField(KIND, hop.direction === "outbound" ? KIND_CLIENT : KIND_SERVER);
	const attributes = new WireWriter(1024);
	for (const [key, value] of repeatedAttributes(hop)) writeAttribute(attributes, ATTRIBUTES, key, value);
	return { hop, head: head.finish(), attributes: attributes.finish(), isError: isErrorSpan(hop) };
}

/** A KeyValue; whole numbers as int, others as double, as OpenTelemetry's SDKs have it. */
export function writeAttribute(writer: WireWriter, field: number, key: string, value: AttributeValue): void {
	const pair = writer.begin(field);
	writer.stringField(1, key);
	const any = writer.begin(2);
	if (typeof value === "string") writer.stringField(1, value);
	else if (typeof value === "boolean") writer.varintField(2, value ? 1 : 0);
	else if (Number.isInteger(value)) writer.varint64Field(3, BigInt(value));
	else writer.doubleField(4, value);
	writer.end(any);
	writer.end(pair);
}

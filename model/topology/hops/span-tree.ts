/**
 * The shape of a trace as calls see it: each span's nearest ancestor that is not internal, and the *halves*, chains of spans of one
 * workload and one direction (an app's CLIENT span and its sidecar's, a sidecar's SERVER span and its app's).
 */
import type { SpanFacts } from "../facts.ts";
import type { TraceSpans } from "../hop.ts";
import type { Endpoint } from "../endpoint.ts";

const KIND_SERVER = 2;
const KIND_CLIENT = 3;
const KIND_PRODUCER = 4;
const KIND_CONSUMER = 5;

/** CLIENT or PRODUCER; SERVER or CONSUMER; anything that pairing walks through. */
export type Direction = "out" | "in" | "through";

export function directionOf(facts: SpanFacts): Direction {
	if (facts.ignored !== undefined) return "through";
	switch (facts.kind) {
		case KIND_CLIENT:
		case KIND_PRODUCER:
			return "out";
		case KIND_SERVER:
		case KIND_CONSUMER:
			return "in";
		default:
			return "through";
	}
}

export interface Half {
	readonly direction: "out" | "in";
	/** Rows from the caller's side to the callee's; more than one row may end it where a call was tried again. */
	readonly rows: number[];
	/** The half above: index into {@link SpanTree.halves}, -1 for none. */
	readonly parent: number;
	/** Whether a parent is named that is not among the spans. */
	readonly dangling: boolean;
}

export interface SpanTree {
	readonly halves: readonly Half[];
	/** Of each row the nearest ancestor that is a call's end; -1 for none. */
	readonly up: Int32Array;
}

/** Emitters whose SERVER proxy stands before the app of its own workload, whatever the two call themselves. */
const SIDECARS: ReadonlySet<string> = new Set(["istio", "kuma", "consul", "linkerd", "shim", "dapr"]);

export function buildSpanTree(spans: TraceSpans): SpanTree {
	const rows = distinctRows(spans);
	const ids = new IdTable(spans, rows);
	const up = new Int32Array(spans.count).fill(UNKNOWN_ROW);
	const isDangling = new Uint8Array(spans.count);
	for (const row of rows) findUp(spans, ids, row, up, isDangling);
	const halfOf = new Int32Array(spans.count).fill(-1);
	const halves: Half[] = [];
	for (const row of rows) placeInHalf(spans, row, up, isDangling, halfOf, halves);
	return { halves, up };
}

const NO_ROW = -1;
const UNKNOWN_ROW = -2;

/** Rows in one order whatever order they came in, each span once. A shared span (Zipkin's) is two: its client's and its server's. */
function distinctRows(spans: TraceSpans): number[] {
	const { spanId, startMs, durationNs, facts, count } = spans;
	const rows = Array.from({ length: count }, (_, row) => row);
	rows.sort(
		(a, b) =>
			startMs[a]! - startMs[b]! ||
			spanId[a * 2]! - spanId[b * 2]! ||
			spanId[a * 2 + 1]! - spanId[b * 2 + 1]! ||
			facts[a]!.kind - facts[b]!.kind ||
			durationNs[a]! - durationNs[b]! ||
			compareText(facts[a]!.local.service, facts[b]!.local.service) ||
			compareText(facts[a]!.code, facts[b]!.code),
	);
	const seen = new Set<string>();
	return rows.filter((row) => {
		const key = `${spanId[row * 2]!}.${spanId[row * 2 + 1]!}.${facts[row]!.kind}`;
		if (seen.has(key)) return false;
		seen.add(key);
		return true;
	});
}

function compareText(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

/** Rows by span id. */
class IdTable {
	private readonly spans: TraceSpans;
	private readonly byId = new Map<number, number[]>();

	constructor(spans: TraceSpans, rows: readonly number[]) {
		this.spans = spans;
		for (const row of rows) {
			const key = this.key(spans.spanId[row * 2]!, spans.spanId[row * 2 + 1]!);
			const others = this.byId.get(key);
			if (others === undefined) this.byId.set(key, [row]);
			else others.push(row);
		}
	}

	/** The row that a child of span `high.low` hangs below: of a shared span the server's part. -1 for none. */
	find(high: number, low: number, besides: number): number {
		let found = NO_ROW;
		for (const row of this.byId.get(this.key(high, low)) ?? []) {
			if (row === besides || this.spans.spanId[row * 2] !== high || this.spans.spanId[row * 2 + 1] !== low) continue;
			if (found === NO_ROW || directionOf(this.spans.facts[row]!) === "in") found = row;
		}
		return found;
	}

	/** The client's part of a shared span whose server's part is `row`; -1 for none. */
	sharedClient(row: number): number {
		const high = this.spans.spanId[row * 2]!;
		const low = this.spans.spanId[row * 2 + 1]!;
		for (const other of this.byId.get(this.key(high, low)) ?? [])
			if (
				other !== row &&
				this.spans.spanId[other * 2] === high &&
				this.spans.spanId[other * 2 + 1] === low &&
				directionOf(this.spans.facts[other]!) === "out"
			)
				return other;
		return NO_ROW;
	}

	/** Ids are random; two that share 53 bits stand in one list. */
	private key(high: number, low: number): number {
		return high * 4_294_967_296 + low;
	}
}

/** The nearest ancestor that is a call's end. Spans on the way are filled in too, so that all of them together cost one walk a span. */
function findUp(spans: TraceSpans, ids: IdTable, start: number, up: Int32Array, isDangling: Uint8Array): void {
	const path: number[] = [];
	let row = start;
	let end = NO_ROW;
	let dangling = 0;
	for (;;) {
		if (up[row] !== UNKNOWN_ROW) {
			end = up[row]!;
			dangling = isDangling[row]!;
			break;
		}
		// A span that is met again on its own way up is in a cycle: the way ends here.
		up[row] = NO_ROW;
		path.push(row);
		const parent = parentOf(spans, ids, row);
		if (parent < 0) {
			dangling = parent === DANGLING ? 1 : 0;
			break;
		}
		if (directionOf(spans.facts[parent]!) !== "through") {
			end = parent;
			break;
		}
		row = parent;
	}
	for (const each of path) {
		up[each] = end;
		isDangling[each] = dangling;
	}
}

const DANGLING = -3;

function parentOf(spans: TraceSpans, ids: IdTable, row: number): number {
	if (directionOf(spans.facts[row]!) === "in") {
		const client = ids.sharedClient(row);
		if (client >= 0) return client;
	}
	const high = spans.parentId[row * 2]!;
	const low = spans.parentId[row * 2 + 1]!;
	if ((high | low) === 0) return NO_ROW;
	const parent = ids.find(high, low, row);
	return parent < 0 ? DANGLING : parent;
}

/** Puts the row into the half of its parent, or into one of its own. Parents first, whatever the times say: clocks differ. */
function placeInHalf(
	spans: TraceSpans,
	start: number,
	up: Int32Array,
	isDangling: Uint8Array,
	halfOf: Int32Array,
	halves: Half[],
): void {
	const path: number[] = [];
	for (let row = start; row >= 0 && halfOf[row] === -1; row = up[row]!) {
		halfOf[row] = IN_WORK;
		path.push(row);
	}
	for (let i = path.length - 1; i >= 0; i--) {
		const row = path[i]!;
		const direction = directionOf(spans.facts[row]!);
		if (direction === "through") {
			halfOf[row] = -1;
			continue;
		}
		const parentRow = up[row]!;
		const parent = parentRow >= 0 && halfOf[parentRow]! >= 0 ? halfOf[parentRow]! : -1;
		if (parent >= 0 && isOneHalf(spans.facts[parentRow]!, spans.facts[row]!)) {
			halfOf[row] = parent;
			halves[parent]!.rows.push(row);
			continue;
		}
		halfOf[row] = halves.length;
		halves.push({ direction, rows: [row], parent, dangling: isDangling[row] === 1 });
	}
}

const IN_WORK = -4;

function isOneHalf(parent: SpanFacts, child: SpanFacts): boolean {
	const direction = directionOf(child);
	if (directionOf(parent) !== direction || parent.both !== undefined || child.both !== undefined)
		return parent.both !== undefined && child.both !== undefined && isSameWorkload(parent.local, child.local);
	if (isSameWorkload(parent.local, child.local)) return true;
	// An app calls through its own sidecar, and a sidecar hands to its own app, also where they bear different names.
	if (direction === "out") return !parent.proxy && child.proxy && child.local.kind !== "gateway";
	return parent.proxy && !child.proxy && parent.local.kind !== "gateway" && SIDECARS.has(parent.emitter);
}

/** What is not known on one side does not tell two workloads apart. */
export function isSameWorkload(a: Endpoint, b: Endpoint): boolean {
	return a.service === b.service && isCompatible(a.namespace, b.namespace) && isCompatible(a.cluster, b.cluster);
}

function isCompatible(a: string, b: string): boolean {
	return a === b || a === "" || b === "";
}

/**
 * The shape of a trace as calls see it: each span's nearest ancestor that is not internal, and the *halves*, chains of spans of one
 * workload and one direction (an app's CLIENT span and its sidecar's, a sidecar's SERVER span and its app's).
 *
 * One tree is used for trace after trace, its arrays only grow: twenty thousand traces a second leave no garbage here.
 */
import type { Endpoint } from "../endpoint.ts";
import type { SpanFacts } from "../facts.ts";
import type { TraceSpans } from "../hop.ts";

const KIND_SERVER = 2;
const KIND_CLIENT = 3;
const KIND_PRODUCER = 4;
const KIND_CONSUMER = 5;

/** What pairing walks through; CLIENT or PRODUCER; SERVER or CONSUMER. */
export const THROUGH = 0;
export const OUT = 1;
export const IN = 2;

/** No row, no half. */
export const NONE = -1;
const DANGLING = -2;
const UNKNOWN_ROW = -3;
const IN_WORK = -4;

/** Below it, looking at every span is faster than a table. */
const FEW_SPANS = 40;

/** Emitters whose SERVER proxy stands before the app of its own workload, whatever the two call themselves. */
const SIDECARS: ReadonlySet<string> = new Set(["istio", "kuma", "consul", "linkerd", "shim", "dapr"]);

export class SpanTree {
	halves = 0;
	/** Of each half: OUT or IN; the half above, NONE for none; whether a parent is named that is not among the spans. */
	direction = new Uint8Array(0);
	parent = new Int32Array(0);
	isDangling = new Uint8Array(0);
	/** Its first row; the row nearest to the network; the app's own row where a proxy speaks for the network; NONE for none. */
	firstRow = new Int32Array(0);
	networkRow = new Int32Array(0);
	appRow = new Int32Array(0);
	/** Rows that have no other row of the half below them: tries. */
	leaves = new Int32Array(0);
	/** Halves directly below, in order: the first of them, and of each the next beside it. */
	firstBelow = new Int32Array(0);
	nextBeside = new Int32Array(0);

	private size = 0;
	private readonly rows: number[] = [];
	/** Of each row. */
	private directions = new Uint8Array(0);
	private up = new Int32Array(0);
	private hasNoParent = new Uint8Array(0);
	private halfOf = new Int32Array(0);
	private isInner = new Uint8Array(0);
	private path = new Int32Array(0);
	private readonly byId = new Map<number, number[]>();
	private spans!: TraceSpans;

	build(spans: TraceSpans): void {
		this.spans = spans;
		this.halves = 0;
		if (spans.count > this.size) this.grow(spans.count);
		for (let row = 0; row < spans.count; row++) {
			this.directions[row] = directionOf(spans.facts[row]!);
			this.up[row] = UNKNOWN_ROW;
			this.halfOf[row] = NONE;
			this.isInner[row] = 0;
		}
		this.orderRows();
		const { rows } = this;
		for (let i = 0; i < rows.length; i++) this.findUp(rows[i]!);
		for (let i = 0; i < rows.length; i++) if (this.directions[rows[i]!] !== THROUGH) this.placeInHalf(rows[i]!);
		this.linkHalves();
	}

	/** Rows in one order whatever order they came in, each span once. A shared span (Zipkin's) is two: its client's and its server's. */
	private orderRows(): void {
		const { rows, spans } = this;
		const { count } = spans;
		rows.length = 0;
		for (let row = 0; row < count; row++) rows.push(row);
		if (count <= FEW_SPANS) insertionSort(rows, spans);
		else rows.sort((a, b) => compareRows(spans, a, b));
		this.byId.clear();
		let kept = 0;
		for (let i = 0; i < count; i++) {
			const row = rows[i]!;
			if (this.isRepeated(row, kept)) continue;
			rows[kept++] = row;
			if (count > FEW_SPANS) this.note(row);
		}
		rows.length = kept;
	}

	/** Whether one of the first `kept` rows is the same span. */
	private isRepeated(row: number, kept: number): boolean {
		const { spans, rows } = this;
		const { spanId, facts } = spans;
		const high = spanId[row * 2]!;
		const low = spanId[row * 2 + 1]!;
		const candidates = spans.count <= FEW_SPANS ? rows : this.byId.get(keyOf(high, low));
		if (candidates === undefined) return false;
		const end = spans.count <= FEW_SPANS ? kept : candidates.length;
		for (let i = 0; i < end; i++) {
			const other = candidates[i]!;
			if (spanId[other * 2 + 1] === low && spanId[other * 2] === high && facts[other]!.kind === facts[row]!.kind)
				return true;
		}
		return false;
	}

	private note(row: number): void {
		const key = keyOf(this.spans.spanId[row * 2]!, this.spans.spanId[row * 2 + 1]!);
		const others = this.byId.get(key);
		if (others === undefined) this.byId.set(key, [row]);
		else others.push(row);
	}

	/**
	 * The row that bears the id; of a shared span the part that goes in the wanted direction, or else any other.
	 * @param isWantedOnly whether only that part will do
	 */
	private find(high: number, low: number, besides: number, wanted: number, isWantedOnly: boolean): number {
		const { spans, rows, directions } = this;
		const { spanId } = spans;
		const candidates = spans.count <= FEW_SPANS ? rows : this.byId.get(keyOf(high, low));
		let found = NONE;
		if (candidates === undefined) return found;
		for (let i = 0; i < candidates.length; i++) {
			const row = candidates[i]!;
			if (spanId[row * 2 + 1] !== low || spanId[row * 2] !== high || row === besides) continue;
			if (directions[row] === wanted) return row;
			if (found === NONE && !isWantedOnly) found = row;
		}
		return found;
	}

	/** The nearest ancestor that is a call's end. Spans on the way are filled in too, so that all together cost one walk a span. */
	private findUp(start: number): void {
		const { up, path, directions, hasNoParent } = this;
		let steps = 0;
		let end = NONE;
		let isDangling = 0;
		for (let row = start; ;) {
			if (up[row] !== UNKNOWN_ROW) {
				end = up[row]!;
				isDangling = hasNoParent[row]!;
				break;
			}
			// A span that is met again on its own way up is in a cycle: the way ends here.
			up[row] = NONE;
			hasNoParent[row] = 0;
			path[steps++] = row;
			const parent = this.parentOf(row);
			if (parent < 0) {
				isDangling = parent === DANGLING ? 1 : 0;
				break;
			}
			if (directions[parent] !== THROUGH) {
				end = parent;
				break;
			}
			row = parent;
		}
		while (steps > 0) {
			const row = path[--steps]!;
			up[row] = end;
			hasNoParent[row] = isDangling;
		}
	}

	private parentOf(row: number): number {
		const { spanId, parentId } = this.spans;
		if (this.directions[row] === IN) {
			const client = this.find(spanId[row * 2]!, spanId[row * 2 + 1]!, row, OUT, true);
			if (client >= 0) return client;
		}
		const high = parentId[row * 2]!;
		const low = parentId[row * 2 + 1]!;
		if ((high | low) === 0) return NONE;
		const parent = this.find(high, low, row, IN, false);
		return parent < 0 ? DANGLING : parent;
	}

	/** Puts the row into the half of its parent, or into one of its own. Parents first, whatever the times say: clocks differ. */
	private placeInHalf(start: number): void {
		const { halfOf, path, up } = this;
		let steps = 0;
		for (let row = start; row >= 0 && halfOf[row] === NONE; row = up[row]!) {
			halfOf[row] = IN_WORK;
			path[steps++] = row;
		}
		while (steps > 0) this.place(path[--steps]!);
	}

	private place(row: number): void {
		const { facts } = this.spans;
		const parentRow = this.up[row]!;
		const parent = parentRow >= 0 && this.halfOf[parentRow]! >= 0 ? this.halfOf[parentRow]! : NONE;
		if (parent >= 0 && isOneHalf(facts[parentRow]!, facts[row]!)) {
			this.join(parent, row, parentRow);
			return;
		}
		const half = this.halves++;
		this.halfOf[row] = half;
		this.direction[half] = this.directions[row]!;
		this.parent[half] = parent;
		this.isDangling[half] = this.hasNoParent[row]!;
		this.firstRow[half] = row;
		this.networkRow[half] = row;
		this.appRow[half] = NONE;
		this.leaves[half] = 1;
	}

	private join(half: number, row: number, parentRow: number): void {
		const { facts } = this.spans;
		this.halfOf[row] = half;
		if (this.isInner[parentRow] === 0) this.isInner[parentRow] = 1;
		else this.leaves[half] = this.leaves[half]! + 1;
		const network = this.networkRow[half]!;
		const isProxy = facts[row]!.proxy;
		if (facts[network]!.proxy !== isProxy && this.appRow[half] === NONE)
			this.appRow[half] = isProxy ? this.firstRow[half]! : row;
		// Towards the callee the last proxy is nearest to the network; without one, the last span.
		if (this.direction[half] === OUT && (isProxy || !facts[network]!.proxy)) this.networkRow[half] = row;
	}

	private linkHalves(): void {
		const { firstBelow, nextBeside, parent } = this;
		for (let half = 0; half < this.halves; half++) firstBelow[half] = NONE;
		for (let half = this.halves - 1; half >= 0; half--) {
			const above = parent[half]!;
			if (above === NONE) continue;
			nextBeside[half] = firstBelow[above]!;
			firstBelow[above] = half;
		}
	}

	private grow(count: number): void {
		const size = Math.max(count, this.size * 2, 64);
		this.size = size;
		this.directions = new Uint8Array(size);
		this.isInner = new Uint8Array(size);
		this.hasNoParent = new Uint8Array(size);
		this.direction = new Uint8Array(size);
		this.isDangling = new Uint8Array(size);
		this.up = new Int32Array(size);
		this.halfOf = new Int32Array(size);
		this.path = new Int32Array(size);
		this.parent = new Int32Array(size);
		this.firstRow = new Int32Array(size);
		this.networkRow = new Int32Array(size);
		this.appRow = new Int32Array(size);
		this.leaves = new Int32Array(size);
		this.firstBelow = new Int32Array(size);
		this.nextBeside = new Int32Array(size);
	}
}

function directionOf(facts: SpanFacts): number {
	if (facts.ignored !== undefined) return THROUGH;
	switch (facts.kind) {
		case KIND_CLIENT:
		case KIND_PRODUCER:
			return OUT;
		case KIND_SERVER:
		case KIND_CONSUMER:
			return IN;
		default:
			return THROUGH;
	}
}

/** Ids are random; two that share 53 bits stand in one list. */
function keyOf(high: number, low: number): number {
	return high * 4_294_967_296 + low;
}

function insertionSort(rows: number[], spans: TraceSpans): void {
	for (let i = 1; i < rows.length; i++) {
		const row = rows[i]!;
		let at = i;
		while (at > 0 && compareRows(spans, rows[at - 1]!, row) > 0) {
			rows[at] = rows[at - 1]!;
			at--;
		}
		rows[at] = row;
	}
}

function compareRows(spans: TraceSpans, a: number, b: number): number {
	const { startMs, spanId } = spans;
	return (
		startMs[a]! - startMs[b]! ||
		spanId[a * 2]! - spanId[b * 2]! ||
		spanId[a * 2 + 1]! - spanId[b * 2 + 1]! ||
		compareTwins(spans, a, b)
	);
}

/** Two versions of one span, or the two parts of a shared one. */
function compareTwins({ durationNs, facts }: TraceSpans, a: number, b: number): number {
	return (
		facts[a]!.kind - facts[b]!.kind ||
		durationNs[a]! - durationNs[b]! ||
		compareText(facts[a]!.local.service, facts[b]!.local.service) ||
		compareText(facts[a]!.code, facts[b]!.code)
	);
}

function compareText(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

function isOneHalf(parent: SpanFacts, child: SpanFacts): boolean {
	if (parent.both !== undefined || child.both !== undefined)
		return parent.both !== undefined && child.both !== undefined && isSameWorkload(parent.local, child.local);
	const direction = directionOf(child);
	if (directionOf(parent) !== direction) return false;
	if (isSameWorkload(parent.local, child.local)) return true;
	// An app calls through its own sidecar, and a sidecar hands to its own app, also where they bear different names.
	if (direction === OUT) return !parent.proxy && child.proxy && child.local.kind !== "gateway";
	return parent.proxy && !child.proxy && parent.local.kind !== "gateway" && SIDECARS.has(parent.emitter);
}

/** What is not known on one side does not tell two workloads apart. */
export function isSameWorkload(a: Endpoint, b: Endpoint): boolean {
	return a === b || (a.service === b.service && isCompatible(a.namespace, b.namespace) && isCompatible(a.cluster, b.cluster));
}

function isCompatible(a: string, b: string): boolean {
	return a === b || a === "" || b === "";
}

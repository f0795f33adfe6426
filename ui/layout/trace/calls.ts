/**
 * The calls of a trace as sets of rows: what the apps and the proxies at both ends of one call sent, and its earlier tries. Which spans
 * belong to a call is the server's word (`meshscope.hops`); a span belongs to one call at most, the first that names it.
 */
import type { TraceHop } from "../../../api/contract/traces.ts";
import { KIND_CLIENT, KIND_SERVER } from "../../base/otlp.ts";
import type { Waterfall } from "../waterfall.ts";

/** What is read of a hop. */
export type CallHop = Pick<TraceHop, "edgeId" | "source" | "target" | "evidence" | "mtls" | "attempts" | "spans">;

export interface TracedCall {
	readonly hop: CallHop;
	/** Ascending, never empty. */
	readonly rows: readonly number[];
	/** Rows of the proxies, and those that stand for the callee: its app's own, or its proxy's where the app sent none. */
	readonly proxies: readonly number[];
	readonly callees: readonly number[];
	/** The callee's time is that of its app alone. */
	readonly isAppKnown: boolean;
	/** In order, the last being what came of it; empty where the tries have no spans of their own. */
	readonly tries: readonly number[];
	/** Rows of all tries but the last. */
	readonly earlier: ReadonlySet<number>;
	/** The span that tells whose call it is, and the one that tells who was called; undefined where that end sent none. */
	readonly callerRow: number | undefined;
	readonly calleeRow: number | undefined;
}

/** Tries that one call shows at most: a sender may claim any number. */
const MAX_TRIES = 64;
/** Siblings that are looked at for one try. */
const MAX_LOOK = 256;

/** Linear in spans and hops. */
export function callsOf(waterfall: Waterfall, hops: readonly CallHop[]): readonly TracedCall[] {
	if (hops.length === 0) return [];
	const isTaken = new Uint8Array(waterfall.count);
	const take = (id: string | undefined, kind: number | undefined): number | undefined => {
		const row = id === undefined ? -1 : waterfall.rowOfSpan(id, kind);
		if (row < 0 || isTaken[row] === 1) return undefined;
		isTaken[row] = 1;
		return row;
	};
	// All that the server names goes first: a try that is looked for must not take what belongs to another call.
	const named = hops.map(({ evidence, spans }) => ({
		sourceApp: take(spans.sourceApp, KIND_CLIENT),
		// Between servers the source is the span that was called before: it belongs to that call.
		source: evidence === "server-server" ? undefined : take(spans.source, KIND_CLIENT),
		waypoint: take(spans.waypoint, undefined),
		destination: take(spans.destination, KIND_SERVER),
		destinationApp: take(spans.destinationApp, KIND_SERVER),
	}));
	const before = siblingsBefore(waterfall);
	const calls: TracedCall[] = [];
	for (const [i, hop] of hops.entries()) {
		const { sourceApp, source, waypoint, destination, destinationApp } = named[i]!;
		const rows = [sourceApp, source, waypoint, destination, destinationApp].filter((row) => row !== undefined);
		if (rows.length === 0) continue;
		const proxies = waypoint === undefined ? [] : [waypoint];
		const callees: number[] = [];
		if (source !== undefined && (hop.spans.sourceApp !== undefined || isProxySpan(waterfall, source))) proxies.push(source);
		if (destinationApp !== undefined) callees.push(destinationApp);
		if (destination !== undefined) (hop.spans.destinationApp === undefined ? callees : proxies).push(destination);
		const earlier = earlierTries(waterfall, before, isTaken, hop, source, destination);
		for (const row of earlier.proxies) proxies.push(row);
		for (const row of earlier.callees) callees.push(row);
		const last = earlier.isOfCaller ? source : destination;
		const earlierRows =
			earlier === NO_TRIES ? NO_ROWS : new Set([...earlier.proxies, ...earlier.callees, ...earlier.callers]);
		for (const row of earlierRows) rows.push(row);
		if (rows.length > 1) rows.sort((a, b) => a - b);
		calls.push({
			hop,
			rows,
			proxies,
			callees,
			isAppKnown: destinationApp !== undefined,
			tries: earlier.tries.length === 0 || last === undefined ? [] : [...earlier.tries, last],
			earlier: earlierRows,
			callerRow: sourceApp ?? source,
			calleeRow: destinationApp ?? destination,
		});
	}
	return calls;
}

/** Whether a proxy sent any of it: then the spans of a call say the same several times, and are worth folding. */
export function hasProxies(calls: readonly TracedCall[]): boolean {
	return calls.some(
		({ proxies, rows, hop }) => rows.length > 1 && (proxies.length > 0 || hop.spans.destinationApp !== undefined),
	);
}

interface EarlierTries {
	readonly tries: number[];
	readonly proxies: number[];
	readonly callees: number[];
	readonly callers: number[];
	/** The tries are the caller's spans, each with an answer of its own, rather than several answers to one span. */
	isOfCaller: boolean;
}

/** Of nearly all calls. */
const NO_TRIES: EarlierTries = { tries: [], proxies: [], callees: [], callers: [], isOfCaller: false };
const NO_ROWS: ReadonlySet<number> = new Set();

/** Spans beside the last try that look like it: of the same service, kind and name below the same parent, taken by no other call. */
function earlierTries(
	waterfall: Waterfall,
	before: Int32Array,
	isTaken: Uint8Array,
	hop: CallHop,
	source: number | undefined,
	destination: number | undefined,
): EarlierTries {
	const wanted = Math.min(MAX_TRIES, hop.attempts) - 1;
	if (wanted < 1) return NO_TRIES;
	const found: EarlierTries = { tries: [], proxies: [], callees: [], callers: [], isOfCaller: false };
	const isAppKnown = hop.spans.destinationApp !== undefined;
	const calleeService = destination === undefined ? undefined : waterfall.service[destination]!;
	for (const last of [source, destination]) {
		if (last === undefined || found.tries.length > 0) continue;
		found.isOfCaller = last === source;
		let looked = 0;
		for (let row = before[last]!; row >= 0 && found.tries.length < wanted && looked++ < MAX_LOOK; row = before[row]!) {
			if (isTaken[row] === 1 || !isLike(waterfall, row, last)) continue;
			isTaken[row] = 1;
			found.tries.unshift(row);
			if (found.isOfCaller) {
				const isProxy = hop.spans.sourceApp !== undefined || isProxySpan(waterfall, row);
				(isProxy ? found.proxies : found.callers).push(row);
				takeAnswer(row);
			} else {
				(isAppKnown ? found.proxies : found.callees).push(row);
				if (isAppKnown) takeAnswer(row, true);
			}
		}
	}
	return found;

	/** The answer to an earlier try stands first below it, and its app's below that of its proxy. */
	function takeAnswer(above: number, isProxySeen = false): void {
		const row = above + 1;
		if (row >= waterfall.subtreeEnd[above]! || isTaken[row] === 1 || waterfall.spans[row]!.kind !== KIND_SERVER) return;
		if (!isProxySeen && calleeService !== undefined && waterfall.service[row] !== calleeService) return;
		isTaken[row] = 1;
		if (isAppKnown && !isProxySeen) {
			found.proxies.push(row);
			takeAnswer(row, true);
		} else found.callees.push(row);
	}
}

function isLike({ service, spans }: Waterfall, row: number, other: number): boolean {
	return service[row] === service[other] && spans[row]!.kind === spans[other]!.kind && spans[row]!.name === spans[other]!.name;
}

/** Of each row the sibling drawn before it; -1 for none, and for roots. */
function siblingsBefore({ count, parent }: Waterfall): Int32Array {
	const before = new Int32Array(count).fill(-1);
	const lastChild = new Int32Array(count).fill(-1);
	for (let row = 0; row < count; row++) {
		const above = parent[row]!;
		if (above < 0) continue;
		before[row] = lastChild[above]!;
		lastChild[above] = row;
	}
	return before;
}

const PROXY_SCOPES: ReadonlySet<string> = new Set(["envoy", "meshscope-shim", "dapr-diagnostics"]);

/** As proxies tell of themselves; for spans of which the server does not say it by naming an app beside them. */
function isProxySpan({ spans, source, sources }: Waterfall, row: number): boolean {
	if (PROXY_SCOPES.has(sources[source[row]!]!.scope?.name ?? "")) return true;
	return (spans[row]!.attributes ?? []).some(
		({ key, value }) =>
			key === "upstream_cluster" ||
			key === "meshscope.mtls.status" ||
			(key === "component" && value?.stringValue === "proxy"),
	);
}

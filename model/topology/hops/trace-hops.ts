/**
 * Hops of a trace: rules 2 to 7 of docs/topology.md over the halves of its span tree.
 *
 * Every half states at most one call, and a call is stated once: by a waypoint's span that names both ends, by a pair, by a span of
 * the next workload where the usual other half is missing, by a shared request id, or alone.
 */
import type { Endpoint } from "../endpoint.ts";
import type { SpanFacts } from "../facts.ts";
import type { Hop, TraceHops, TraceSpans } from "../hop.ts";
import type { Evidence } from "../series.ts";
import type { HopShapes } from "./hop-shape.ts";
import { buildSpanTree, type Half, isSameWorkload, type SpanTree } from "./span-tree.ts";

/** Of one request id, servers that are looked through for a caller. */
const MAX_SERVERS_A_REQUEST = 64;

/** @param watermarkMs halves whose span ended later than this (epoch ms) wait for their other half; Infinity for none */
export function traceHops(spans: TraceSpans, watermarkMs: number, shapes: HopShapes): TraceHops {
	return new HopFinder(spans, watermarkMs, shapes).find();
}

/** A call as its caller tried it: one half, or several where a proxy tells each try by a span of its own. */
interface Call {
	readonly halves: number[];
	/** Row nearest to the network, of the last try. */
	networkRow: number;
	attempts: number;
	startMs: number;
	endMs: number;
	/** SERVER halves below it that belong to other workloads, in order. */
	readonly answers: number[];
	/** CLIENT halves of other workloads directly below it. */
	readonly followers: number[];
	/** Whether a SERVER half of its own workload stands below it: a call inside the workload. */
	isInternal: boolean;
}

class HopFinder {
	private readonly spans: TraceSpans;
	private readonly watermarkMs: number;
	private readonly shapes: HopShapes;
	private readonly tree: SpanTree;
	private readonly hops: Hop[] = [];
	private nextMaturityMs = Infinity;
	/** Halves that a hop accounts for. */
	private readonly isStated: boolean[];
	/** Halves directly below each half. */
	private readonly below: readonly (readonly number[])[];
	/** What {@link firstTry} found, by parent, workload and callee: thousands of tries must not each look at all the others. */
	private readonly firstTries = new Map<string, number>();

	constructor(spans: TraceSpans, watermarkMs: number, shapes: HopShapes) {
		this.spans = spans;
		this.watermarkMs = watermarkMs;
		this.shapes = shapes;
		this.tree = buildSpanTree(spans);
		this.isStated = this.tree.halves.map(() => false);
		const below: number[][] = this.tree.halves.map(() => []);
		this.tree.halves.forEach((half, i) => {
			if (half.parent >= 0) below[half.parent]!.push(i);
		});
		this.below = below;
	}

	find(): TraceHops {
		const { halves } = this.tree;
		halves.forEach((half, i) => {
			if (this.topFacts(half).both !== undefined) this.stateWaypoint(i);
		});
		const lone: Call[] = [];
		for (const call of this.calls()) if (!this.stateCall(call)) lone.push(call);
		const loneServers: number[] = [];
		halves.forEach((half, i) => {
			if (half.direction === "in" && !this.isStated[i] && !this.stateServer(half, i)) loneServers.push(i);
		});
		this.stateByRequestId(lone, loneServers);
		for (const call of lone) this.stateLoneCall(call);
		for (const i of loneServers) if (!this.isStated[i]) this.stateLoneServer(i);
		return { hops: this.hops, nextMaturityMs: this.nextMaturityMs };
	}

	/** Rule 2. The caller's own half above and the callee's below belong to the same call. */
	private stateWaypoint(index: number): void {
		const { halves } = this.tree;
		const half = halves[index]!;
		const row = half.rows[0]!;
		const facts = this.spans.facts[row]!;
		const { source, destination } = facts.both!;
		this.isStated[index] = true;
		const above = half.parent >= 0 ? halves[half.parent]! : undefined;
		const isCaller =
			above?.direction === "out" &&
			!this.isStated[half.parent]! &&
			this.topFacts(above).both === undefined &&
			isSameWorkload(this.topFacts(above).local, source);
		if (isCaller) this.isStated[half.parent] = true;
		const below =
			this.below[index]!.find((i) => {
				const facts = this.topFacts(halves[i]!);
				// An app behind a waypoint is its destination, also where it calls itself otherwise.
				const isCallee = isSameWorkload(facts.local, destination) || !facts.proxy;
				return halves[i]!.direction === "in" && !this.isStated[i] && isCallee;
			}) ?? -1;
		if (below >= 0) this.isStated[below] = true;
		const sourceRow = isCaller ? this.networkRow(above) : -1;
		const destinationRow = below >= 0 ? halves[below]!.rows[0]! : -1;
		this.add({
			evidence: "waypoint",
			waypoint: facts,
			sourceRow,
			destinationRow,
			measuredRow: row,
			...(isCaller ? { callerHalf: above } : {}),
			...(below >= 0 ? { calleeHalf: halves[below]! } : {}),
			attempts: 1,
		});
	}

	/** The tries of one call are together: a proxy's spans of one request below one span, told apart by their retry number. */
	private calls(): Call[] {
		const { halves } = this.tree;
		const calls: Call[] = [];
		const callOf = new Int32Array(halves.length).fill(-1);
		halves.forEach((half, i) => {
			if (half.direction !== "out" || this.isStated[i]) return;
			const facts = this.spans.facts[this.networkRow(half)]!;
			const first = facts.retry > 0 ? this.firstTry(i, facts) : -1;
			if (first >= 0) return;
			callOf[i] = calls.length;
			calls.push(this.newCall(half, i));
		});
		halves.forEach((half, i) => {
			if (half.direction !== "out" || this.isStated[i] || callOf[i]! >= 0) return;
			const first = this.firstTry(i, this.spans.facts[this.networkRow(half)]!);
			callOf[i] = callOf[first]!;
			this.addTry(calls[callOf[first]!]!, half, i);
		});
		halves.forEach((half, i) => {
			const call = half.parent >= 0 && callOf[half.parent]! >= 0 ? calls[callOf[half.parent]!] : undefined;
			if (call === undefined || this.isStated[i]) return;
			const caller = this.spans.facts[this.networkRow(halves[half.parent]!)]!;
			const callee = this.topFacts(half);
			const areLinkerds = caller.emitter === "linkerd" && callee.emitter === "linkerd";
			const isWithin = isSameWorkload(this.localOf(halves[half.parent]!), callee.local) && !areLinkerds;
			if (half.direction === "out") {
				if (!isWithin) call.followers.push(i);
			} else if (isWithin) call.isInternal = true;
			else call.answers.push(i);
		});
		return calls;
	}

	private newCall(half: Half, index: number): Call {
		const row = this.networkRow(half);
		const top = half.rows[0]!;
		return {
			halves: [index],
			networkRow: row,
			attempts: this.leaves(half),
			startMs: this.spans.startMs[top]!,
			endMs: this.endMs(top),
			answers: [],
			followers: [],
			isInternal: false,
		};
	}

	private addTry(call: Call, half: Half, index: number): void {
		const row = this.networkRow(half);
		call.halves.push(index);
		call.attempts += this.leaves(half);
		if (this.spans.facts[row]!.retry >= this.spans.facts[call.networkRow]!.retry) call.networkRow = row;
		call.startMs = Math.min(call.startMs, this.spans.startMs[half.rows[0]!]!);
		call.endMs = Math.max(call.endMs, this.endMs(half.rows[0]!));
	}

	/** The half that tells the first try of what `index` tries again: beside it, of the same workload, to the same callee. -1 for none. */
	private firstTry(index: number, facts: SpanFacts): number {
		const { halves } = this.tree;
		const { parent } = halves[index]!;
		if (parent < 0) return -1;
		const key = `${parent}.${facts.local.service}.${facts.peer?.endpoint.service ?? ""}`;
		let first = this.firstTries.get(key);
		if (first === undefined) {
			first = this.below[parent]!.findIndex((i) => {
				if (i === index || halves[i]!.direction !== "out" || this.isStated[i]) return false;
				const other = this.spans.facts[this.networkRow(halves[i]!)]!;
				return other.retry === 0 && isSameWorkload(other.local, facts.local) && isSamePeer(other, facts);
			});
			this.firstTries.set(key, first);
		}
		return first < 0 ? -1 : this.below[parent]![first]!;
	}

	/** Rules 3 and 4, and messages. True when the call is accounted for. */
	private stateCall(call: Call): boolean {
		const { halves } = this.tree;
		const caller = this.spans.facts[call.networkRow]!;
		const queue = caller.protocol === "messaging" ? caller.peer?.endpoint : undefined;
		if (queue !== undefined) {
			this.addCall(call, { evidence: call.answers.length > 0 ? "pair" : "client-only", queue });
			for (const i of call.answers) {
				this.isStated[i] = true;
				const row = halves[i]!.rows[0]!;
				this.add({
					evidence: "pair",
					queue,
					sourceRow: -1,
					destinationRow: row,
					measuredRow: row,
					calleeHalf: halves[i]!,
					attempts: 1,
				});
			}
			return true;
		}
		for (const answers of this.byWorkload(call.answers)) {
			for (const i of answers) this.isStated[i] = true;
			const answer = halves[answers.at(-1)!]!;
			this.addCall(call, {
				evidence: "pair",
				destinationRow: answer.rows[0]!,
				calleeHalf: answer,
				attempts: Math.max(call.attempts, answers.length),
			});
		}
		if (call.answers.length > 0 || call.isInternal) return true;
		for (const followers of this.byWorkload(call.followers)) {
			const row = halves[followers[0]!]!.rows[0]!;
			this.addCall(call, { evidence: "client-client", destinationRow: row });
		}
		return call.followers.length > 0;
	}

	/** Halves by the workload they are of; tries that reached different instances of one service are one group. */
	private byWorkload(indices: readonly number[]): number[][] {
		const groups: number[][] = [];
		for (const i of indices) {
			const local = this.localOf(this.tree.halves[i]!);
			const group = groups.find(([first]) => isSameWorkload(this.localOf(this.tree.halves[first!]!), local));
			if (group === undefined) groups.push([i]);
			else group.push(i);
		}
		return groups;
	}

	/** A SERVER half with something above it. True when it is accounted for: by an edge between servers, or inside its workload. */
	private stateServer(half: Half, index: number): boolean {
		if (half.parent < 0) return false;
		const above = this.tree.halves[half.parent]!;
		const row = half.rows[0]!;
		this.isStated[index] = true;
		if (above.direction === "in" && !isSameWorkload(this.localOf(above), this.topFacts(half).local)) {
			const sourceRow = above.rows.at(-1)!;
			this.add({
				evidence: "server-server",
				sourceRow,
				destinationRow: row,
				measuredRow: row,
				calleeHalf: half,
				attempts: 1,
			});
		}
		return true;
	}

	/** Rule 5: parentage broke, but proxies passed one request id on. Of several candidates the earliest, named callee first. */
	private stateByRequestId(calls: Call[], servers: readonly number[]): void {
		if (calls.length === 0 || servers.length === 0) return;
		const byId = new Map<number, number[]>();
		for (const i of servers) {
			const id = this.requestKey(this.tree.halves[i]!.rows[0]!);
			if (id === 0) continue;
			const others = byId.get(id);
			if (others === undefined) byId.set(id, [i]);
			else if (others.length < MAX_SERVERS_A_REQUEST) others.push(i);
		}
		if (byId.size === 0) return;
		const paired = new Set<Call>();
		for (const isNamed of [true, false]) {
			for (const call of calls) {
				if (paired.has(call)) continue;
				const candidates = byId.get(this.requestKey(call.networkRow)) ?? [];
				const index = candidates.find((i) => !this.isStated[i] && this.isSameRequest(call, i, isNamed));
				if (index === undefined) continue;
				this.isStated[index] = true;
				paired.add(call);
				const half = this.tree.halves[index]!;
				this.addCall(call, { evidence: "request-id", destinationRow: half.rows[0]!, calleeHalf: half });
			}
		}
		const left = calls.filter((call) => !paired.has(call));
		calls.splice(0, calls.length, ...left);
	}

	/** 0 for none. */
	private requestKey(row: number): number {
		return this.spans.requestId[row * 2]! * 4_294_967_296 + this.spans.requestId[row * 2 + 1]!;
	}

	private isSameRequest(call: Call, server: number, isNamed: boolean): boolean {
		const { requestId, startMs, facts } = this.spans;
		const out = call.networkRow;
		const row = this.tree.halves[server]!.rows[0]!;
		const hasId = (requestId[out * 2]! | requestId[out * 2 + 1]!) !== 0;
		if (!hasId || requestId[out * 2] !== requestId[row * 2] || requestId[out * 2 + 1] !== requestId[row * 2 + 1])
			return false;
		const callee = facts[row]!.local;
		if (isSameWorkload(facts[out]!.local, callee)) return false;
		if (startMs[row]! > call.endMs || this.endMs(row) < call.startMs) return false;
		const peer = facts[out]!.peer?.endpoint;
		return isNamed ? peer?.service === callee.service : peer === undefined || peer.kind === "unknown";
	}

	/** Rule 6. Databases and queues never report themselves, so nothing is waited for. */
	private stateLoneCall(call: Call): void {
		const peer = this.spans.facts[call.networkRow]!.peer?.endpoint.kind;
		const isFinal = peer === "database" || peer === "messaging";
		if (!isFinal && !this.isMature(call.networkRow)) return;
		this.addCall(call, { evidence: "client-only" });
	}

	/** Rule 7. A root without a request id has no other half that could come. */
	private stateLoneServer(index: number): void {
		const half = this.tree.halves[index]!;
		const row = half.rows[0]!;
		const { facts } = this.spans;
		const hasId = this.requestKey(row) !== 0;
		const peer = facts[row]!.peer?.endpoint;
		const queue = facts[row]!.protocol === "messaging" ? peer : undefined;
		if ((half.dangling || hasId) && queue === undefined && !this.isMature(row)) return;
		this.add({
			evidence: "server-only",
			...(queue === undefined ? {} : { queue }),
			sourceRow: -1,
			destinationRow: row,
			measuredRow: row,
			calleeHalf: half,
			attempts: 1,
		});
	}

	private isMature(row: number): boolean {
		const endMs = this.endMs(row);
		if (endMs <= this.watermarkMs) return true;
		if (endMs < this.nextMaturityMs) this.nextMaturityMs = endMs;
		return false;
	}

	private addCall(
		call: Call,
		more: {
			readonly evidence: Evidence;
			readonly queue?: Endpoint;
			readonly destinationRow?: number;
			readonly calleeHalf?: Half;
			readonly attempts?: number;
		},
	): void {
		const callerHalf = this.tree.halves[call.halves[0]!]!;
		this.add({
			destinationRow: -1,
			attempts: call.attempts,
			...more,
			sourceRow: call.networkRow,
			measuredRow: call.networkRow,
			callerHalf,
			callerSpan: call,
		});
	}

	private add(parts: HopParts): void {
		const { spans } = this;
		const { sourceRow, destinationRow, measuredRow, callerHalf, calleeHalf, evidence } = parts;
		const isCallerSeen = evidence !== "server-server" && sourceRow >= 0;
		const isCalleeSeen = evidence !== "client-client" && destinationRow >= 0;
		const factsAt = (row: number): SpanFacts | undefined => (row >= 0 ? spans.facts[row] : undefined);
		const shape = this.shapes.of({
			evidence,
			source: factsAt(sourceRow),
			destination: factsAt(destinationRow),
			waypoint: parts.waypoint,
			queue: parts.queue,
		});
		const sourceLatencyNs = !isCallerSeen
			? -1
			: parts.callerSpan === undefined
				? spans.durationNs[sourceRow]!
				: latencyOf(parts.callerSpan, callerHalf!, spans);
		const measured = isCallerSeen ? sourceRow : measuredRow;
		const destinationAppRow = calleeHalf === undefined ? -1 : appRow(spans, calleeHalf);
		const appNs = destinationAppRow < 0 ? -1 : spans.durationNs[destinationAppRow]!;
		const rows = [measured, destinationRow].filter((row) => row >= 0 && (row !== destinationRow || isCalleeSeen));
		this.hops.push({
			shape,
			sourceRow,
			destinationRow: isCalleeSeen ? destinationRow : -1,
			sourceAppRow: callerHalf !== undefined && sourceRow >= 0 ? appRow(spans, callerHalf) : -1,
			destinationAppRow,
			startMs: parts.callerSpan?.startMs ?? spans.startMs[measured]!,
			sourceLatencyNs,
			destinationLatencyNs: isCalleeSeen
				? spans.durationNs[destinationRow]!
				: parts.waypoint !== undefined
					? spans.durationNs[measuredRow]!
					: -1,
			appNs,
			proxyNs: appNs < 0 ? -1 : Math.max(0, spans.durationNs[calleeHalf!.rows[0]!]! - appNs),
			attempts: parts.attempts,
			requestBytes: firstOf(rows, spans.requestBytes),
			responseBytes: firstOf(rows, spans.responseBytes),
			weight: firstOf(rows, spans.weight),
		});
	}

	private topFacts(half: Half): SpanFacts {
		return this.spans.facts[half.rows[0]!]!;
	}

	/** Row nearest to the network: the last proxy's towards the callee, else the last; the first of a SERVER half. */
	private networkRow(half: Half): number {
		if (half.direction === "in") return half.rows[0]!;
		for (let i = half.rows.length - 1; i >= 0; i--) if (this.spans.facts[half.rows[i]!]!.proxy) return half.rows[i]!;
		return half.rows.at(-1)!;
	}

	/** The mesh's name of a half's workload goes before the app's own. */
	private localOf(half: Half): Endpoint {
		return this.spans.facts[this.networkRow(half)]!.local;
	}

	/** Rows of a half that have no other row of it below them: tries. */
	private leaves(half: Half): number {
		if (half.rows.length === 1) return 1;
		const inner = new Set(half.rows.slice(1).map((row) => this.tree.up[row]!));
		return half.rows.length - inner.size;
	}

	private endMs(row: number): number {
		return this.spans.startMs[row]! + this.spans.durationNs[row]! / 1e6;
	}
}

interface HopParts {
	readonly evidence: Evidence;
	readonly waypoint?: SpanFacts;
	readonly queue?: Endpoint;
	readonly sourceRow: number;
	readonly destinationRow: number;
	/** Where time and bytes come from when the caller did not report. */
	readonly measuredRow: number;
	readonly callerHalf?: Half;
	readonly calleeHalf?: Half;
	readonly callerSpan?: Call;
	readonly attempts: number;
}

/** What the caller felt: its sidecar's span, from the first try to the end of the last where tries have spans of their own. */
function latencyOf(call: Call, half: Half, spans: TraceSpans): number {
	if (call.halves.length > 1) return Math.max(0, (call.endMs - call.startMs) * 1e6);
	// Several tries in one half stand below one span, whose time is that of all of them.
	return spans.durationNs[call.attempts > 1 ? half.rows[0]! : call.networkRow]!;
}

/** The app's own span of a half in which a proxy speaks for the network; -1 for none. */
function appRow(spans: TraceSpans, half: Half): number {
	const hasProxy = half.rows.some((row) => spans.facts[row]!.proxy);
	if (!hasProxy) return -1;
	return half.rows.find((row) => !spans.facts[row]!.proxy) ?? -1;
}

function firstOf(rows: readonly number[], values: Float64Array): number {
	for (const row of rows) if (values[row]! > 0) return values[row]!;
	return 0;
}

function isSamePeer(a: SpanFacts, b: SpanFacts): boolean {
	return a.peer?.endpoint.service === b.peer?.endpoint.service;
}

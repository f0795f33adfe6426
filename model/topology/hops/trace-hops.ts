/**
 * Hops of a trace: rules 2 to 7 of docs/topology.md over the halves of its span tree.
 *
 * Every half states at most one call, and a call is stated once: by a waypoint's span that names both ends, by a pair, by a span of
 * the next workload where the usual other half is missing, by a shared request id, or alone.
 */
import type { Endpoint } from "../endpoint.ts";
import type { SpanFacts } from "../facts.ts";
import type { Hop, HopShape, TraceHops, TraceSpans } from "../hop.ts";
import type { Evidence } from "../series.ts";
import type { HopShapes } from "./hop-shape.ts";
import { IN, isSameWorkload, NONE, OUT, SpanTree } from "./span-tree.ts";

/** Of one request id, servers that are looked through for a caller. */
const MAX_SERVERS_A_REQUEST = 64;

/** A call whose tries have a half each: the half of the last try, and what belongs to all of them. */
interface Tries {
	/** The half that stands for the call. */
	readonly first: number;
	readonly others: number[];
}

/** The hop in hand. Fractions first, so that its fields are made for numbers of any kind. */
class HopInHand implements Hop {
	shape!: HopShape;
	sourceRow = NONE;
	destinationRow = NONE;
	sourceAppRow = NONE;
	destinationAppRow = NONE;
	waypointRow = NONE;
	startMs = 0.5;
	sourceLatencyNs = 0.5;
	destinationLatencyNs = 0.5;
	appNs = 0.5;
	proxyNs = 0.5;
	attempts = NONE;
	requestBytes = 0.5;
	responseBytes = 0.5;
	weight = 0.5;
}

/** Finds the hops of trace after trace; what it needs for one is used again for the next. */
export class HopFinder {
	private readonly shapes: HopShapes;
	private readonly tree = new SpanTree();
	private spans!: TraceSpans;
	private watermarkMs = 0;
	private visit: (hop: Hop) => void = () => {};
	private readonly hop = new HopInHand();
	private nextMaturityMs = Infinity;
	/** Halves that a hop accounts for. */
	private isStated = new Uint8Array(0);
	/** Calls that were tried again, by the half of their first try; the first try of every half that is another. */
	private readonly tries = new Map<number, Tries>();
	private readonly firstTryOf = new Map<number, number>();
	private readonly loneCalls: number[] = [];
	private readonly loneServers: number[] = [];
	/** Scratch of {@link answersBelow} and {@link followersBelow}. */
	private readonly answers: number[] = [];
	private readonly followers: number[] = [];

	constructor(shapes: HopShapes) {
		this.shapes = shapes;
	}

	/** @param watermarkMs halves whose span ended later than this (epoch ms) wait for their other half; Infinity for none */
	find(spans: TraceSpans, watermarkMs: number): TraceHops {
		const hops: Hop[] = [];
		const nextMaturityMs = this.each(spans, watermarkMs, (hop) => hops.push({ ...hop }));
		return { hops, nextMaturityMs };
	}

	/**
	 * As {@link find}, hop by hop; each is valid during its call only.
	 * @returns when the next half that stands alone becomes mature
	 */
	each(spans: TraceSpans, watermarkMs: number, visit: (hop: Hop) => void): number {
		const { tree } = this;
		this.spans = spans;
		this.watermarkMs = watermarkMs;
		this.visit = visit;
		this.nextMaturityMs = Infinity;
		tree.build(spans);
		if (this.isStated.length < tree.halves) this.isStated = new Uint8Array(tree.halves * 2);
		this.isStated.fill(0, 0, tree.halves);
		this.loneCalls.length = 0;
		this.loneServers.length = 0;
		this.prepare();
		for (let half = 0; half < tree.halves; half++) {
			if (tree.direction[half] !== OUT || this.isStated[half] === 1 || this.isLaterTry(half)) continue;
			if (!this.stateCall(half)) this.loneCalls.push(half);
		}
		for (let half = 0; half < tree.halves; half++) {
			if (tree.direction[half] !== IN || this.isStated[half] === 1) continue;
			if (!this.stateServer(half)) this.loneServers.push(half);
		}
		if (this.loneCalls.length > 0 && this.loneServers.length > 0) this.stateByRequestId();
		for (const half of this.loneCalls) if (this.isStated[half] === 0) this.stateLoneCall(half);
		for (const half of this.loneServers) if (this.isStated[half] === 0) this.stateLoneServer(half);
		return this.nextMaturityMs;
	}

	/** Waypoints, and the tries of each call: what most traces have none of. */
	private prepare(): void {
		const { tree, tries, firstTryOf } = this;
		if (tries.size > 0) tries.clear();
		if (firstTryOf.size > 0) firstTryOf.clear();
		let hasRetries = false;
		for (let half = 0; half < tree.halves; half++) {
			if (this.factsAt(tree.firstRow[half]!).both !== undefined) this.stateWaypoint(half);
			hasRetries ||= tree.direction[half] === OUT && this.factsAt(tree.networkRow[half]!).retry > 0;
		}
		if (hasRetries) this.gatherTries();
	}

	/** Rule 2. The caller's own half above and the callee's below belong to the same call. */
	private stateWaypoint(half: number): void {
		const { tree, isStated } = this;
		const row = tree.firstRow[half]!;
		const waypoint = this.factsAt(row);
		const { source, destination } = waypoint.both!;
		isStated[half] = 1;
		const above = tree.parent[half]!;
		const isCaller =
			above >= 0 &&
			tree.direction[above] === OUT &&
			isStated[above] === 0 &&
			isSameWorkload(this.factsAt(tree.firstRow[above]!).local, source);
		if (isCaller) isStated[above] = 1;
		let below = tree.firstBelow[half]!;
		for (; below !== NONE; below = tree.nextBeside[below]!) {
			if (tree.direction[below] !== IN || isStated[below] === 1) continue;
			const facts = this.factsAt(tree.firstRow[below]!);
			// An app behind a waypoint is its destination, also where it calls itself otherwise.
			if (isSameWorkload(facts.local, destination) || !facts.proxy) break;
		}
		if (below !== NONE) isStated[below] = 1;
		this.add("waypoint", isCaller ? above : NONE, below, 1, { waypoint, row });
	}

	/** A proxy's spans of one request below one span are tries of one call, told apart by their retry number. */
	private gatherTries(): void {
		const { tree } = this;
		const firsts = new Map<string, number>();
		for (const isFirst of [true, false]) {
			for (let half = 0; half < tree.halves; half++) {
				const parent = tree.parent[half]!;
				if (tree.direction[half] !== OUT || this.isStated[half] === 1 || parent < 0) continue;
				const facts = this.factsAt(tree.networkRow[half]!);
				if ((facts.retry === 0) !== isFirst) continue;
				const { local, peer } = facts;
				const key = `${parent}\u0000${local.namespace}\u0000${local.service}\u0000${peer?.endpoint.service ?? ""}`;
				const first = firsts.get(key);
				if (isFirst) {
					if (first === undefined) firsts.set(key, half);
				} else if (first !== undefined) this.addTry(first, half);
			}
		}
	}

	private addTry(first: number, half: number): void {
		this.firstTryOf.set(half, first);
		const known = this.tries.get(first);
		if (known === undefined) this.tries.set(first, { first, others: [half] });
		else known.others.push(half);
	}

	/** Rules 3 and 4, and messages. True when the call is accounted for. */
	private stateCall(half: number): boolean {
		const { tree, isStated } = this;
		const caller = this.factsAt(tree.networkRow[half]!);
		if (caller.protocol === "messaging" && caller.peer !== undefined) return this.stateMessage(half, caller.peer.endpoint);
		const answers = this.answersBelow(half);
		if (answers.length === 1) {
			isStated[answers[0]!] = 1;
			this.add("pair", half, answers[0]!, this.attemptsOf(half));
			return true;
		}
		if (answers.length > 0) {
			for (const answer of answers) isStated[answer] = 1;
			for (const ofOne of this.byWorkload(answers))
				this.add("pair", half, ofOne.at(-1)!, Math.max(this.attemptsOf(half), ofOne.length));
			return true;
		}
		if (this.isInternal) return true;
		const followers = this.followersBelow(half);
		if (followers.length === 0) return false;
		for (const ofOne of this.byWorkload(followers)) this.add("client-client", half, ofOne[0]!, this.attemptsOf(half));
		return true;
	}

	/** Set by {@link answersBelow}: a SERVER half of its own workload stands below the call, which so stays inside. */
	private isInternal = false;

	/** SERVER halves of other workloads below a call, in order; valid until the next call. */
	private answersBelow(half: number): number[] {
		this.isInternal = false;
		const { answers } = this;
		answers.length = 0;
		this.addAnswers(half, answers);
		const tries = this.triesOf(half);
		if (tries !== undefined) for (const other of tries.others) this.addAnswers(other, answers);
		return answers;
	}

	private addAnswers(half: number, answers: number[]): void {
		const { tree } = this;
		const caller = this.factsAt(tree.networkRow[half]!);
		for (let below = tree.firstBelow[half]!; below !== NONE; below = tree.nextBeside[below]!) {
			if (tree.direction[below] !== IN || this.isStated[below] === 1) continue;
			const callee = this.factsAt(tree.firstRow[below]!);
			// Linkerd's proxies bear one name unless told otherwise.
			const areLinkerds = caller.emitter === "linkerd" && callee.emitter === "linkerd";
			if (!areLinkerds && isSameWorkload(caller.local, callee.local)) this.isInternal = true;
			else answers.push(below);
		}
	}

	/** CLIENT halves of other workloads directly below a call; valid until the next call. */
	private followersBelow(half: number): number[] {
		const { tree, followers } = this;
		followers.length = 0;
		const caller = this.localOf(half);
		for (let below = tree.firstBelow[half]!; below !== NONE; below = tree.nextBeside[below]!) {
			if (tree.direction[below] !== OUT || this.isStated[below] === 1) continue;
			if (!isSameWorkload(caller, this.factsAt(tree.firstRow[below]!).local)) followers.push(below);
		}
		return followers;
	}

	/** Halves by the workload they are of; tries that reached different instances of one service are one group. */
	private byWorkload(halves: readonly number[]): readonly (readonly number[])[] {
		if (halves.length <= 1) return halves.length === 0 ? [] : [halves];
		const groups: number[][] = [];
		for (const half of halves) {
			const local = this.localOf(half);
			const group = groups.find(([first]) => isSameWorkload(this.localOf(first!), local));
			if (group === undefined) groups.push([half]);
			else group.push(half);
		}
		return groups;
	}

	private stateMessage(half: number, queue: Endpoint): boolean {
		const answers = this.answersBelow(half);
		this.add(answers.length > 0 ? "pair" : "client-only", half, NONE, this.attemptsOf(half), { queue });
		for (const answer of answers) {
			this.isStated[answer] = 1;
			this.add("pair", NONE, answer, 1, { queue });
		}
		return true;
	}

	/** A SERVER half with something above it. True when it is accounted for: by an edge between servers, or inside its workload. */
	private stateServer(half: number): boolean {
		const { tree } = this;
		const above = tree.parent[half]!;
		if (above < 0) return false;
		this.isStated[half] = 1;
		const isOther = !isSameWorkload(this.localOf(above), this.factsAt(tree.firstRow[half]!).local);
		if (tree.direction[above] === IN && isOther) this.add("server-server", above, half, 1);
		return true;
	}

	/** Rule 5: parentage broke, but proxies passed one request id on. Of several candidates the earliest, named callee first. */
	private stateByRequestId(): void {
		const { tree, isStated } = this;
		const byId = new Map<number, number[]>();
		for (const half of this.loneServers) {
			const id = this.requestKey(tree.firstRow[half]!);
			if (id === 0) continue;
			const others = byId.get(id);
			if (others === undefined) byId.set(id, [half]);
			else if (others.length < MAX_SERVERS_A_REQUEST) others.push(half);
		}
		if (byId.size === 0) return;
		for (const isNamed of [true, false]) {
			for (const call of this.loneCalls) {
				if (isStated[call] === 1) continue;
				const candidates = byId.get(this.requestKey(tree.networkRow[call]!)) ?? [];
				const server = candidates.find((half) => isStated[half] === 0 && this.isSameRequest(call, half, isNamed));
				if (server === undefined) continue;
				isStated[server] = isStated[call] = 1;
				this.add("request-id", call, server, this.attemptsOf(call));
			}
		}
	}

	private isSameRequest(call: number, server: number, isNamed: boolean): boolean {
		const { startMs } = this.spans;
		const row = this.tree.firstRow[server]!;
		const caller = this.factsAt(this.tree.networkRow[call]!);
		const callee = this.factsAt(row).local;
		if (isSameWorkload(caller.local, callee)) return false;
		if (startMs[row]! > this.callEndMs(call) || this.endMs(row) < this.callStartMs(call)) return false;
		const peer = caller.peer?.endpoint;
		return isNamed ? peer?.service === callee.service : peer === undefined || peer.kind === "unknown";
	}

	/** 0 for none. */
	private requestKey(row: number): number {
		return this.spans.requestId[row * 2]! * 4_294_967_296 + this.spans.requestId[row * 2 + 1]!;
	}

	/** Rule 6. Databases and queues never report themselves, so nothing is waited for. */
	private stateLoneCall(half: number): void {
		const row = this.tree.networkRow[half]!;
		const peer = this.factsAt(row).peer?.endpoint.kind;
		const isFinal = peer === "database" || peer === "messaging";
		if (isFinal || this.isMature(row)) this.add("client-only", half, NONE, this.attemptsOf(half));
	}

	/** Rule 7. A root without a request id has no other half that could come. */
	private stateLoneServer(half: number): void {
		const row = this.tree.firstRow[half]!;
		const facts = this.factsAt(row);
		const queue = facts.protocol === "messaging" ? facts.peer?.endpoint : undefined;
		const mayPair = this.tree.isDangling[half] === 1 || this.requestKey(row) !== 0;
		if (mayPair && queue === undefined && !this.isMature(row)) return;
		this.add("server-only", NONE, half, 1, queue === undefined ? undefined : { queue });
	}

	private isMature(row: number): boolean {
		const endMs = this.endMs(row);
		if (endMs <= this.watermarkMs) return true;
		if (endMs < this.nextMaturityMs) this.nextMaturityMs = endMs;
		return false;
	}

	/**
	 * @param caller half, NONE where it was not seen; of `server-server` the SERVER half above
	 * @param callee half, NONE where it was not seen; of `client-client` the next workload's CLIENT half
	 */
	private add(
		evidence: Evidence,
		caller: number,
		callee: number,
		attempts: number,
		between?: { readonly waypoint?: SpanFacts; readonly row?: number; readonly queue?: Endpoint },
	): void {
		const { spans, tree } = this;
		const sourceRow =
			caller === NONE ? NONE : evidence === "server-server" ? tree.firstRow[caller]! : this.lastTryRow(caller);
		const destinationRow = callee === NONE ? NONE : tree.firstRow[callee]!;
		const isCallerSeen = caller !== NONE && evidence !== "server-server";
		const isCalleeSeen = callee !== NONE && evidence !== "client-client";
		const source = sourceRow === NONE ? undefined : this.factsAt(sourceRow);
		const destination = destinationRow === NONE ? undefined : this.factsAt(destinationRow);
		const waypointRow = between?.row ?? NONE;
		const row = isCallerSeen ? sourceRow : waypointRow !== NONE ? waypointRow : destinationRow;
		const otherRow = isCalleeSeen ? destinationRow : row;
		const destinationAppRow = isCalleeSeen ? tree.appRow[callee]! : NONE;
		const appNs = destinationAppRow === NONE ? -1 : spans.durationNs[destinationAppRow]!;
		const { hop } = this;
		const number = spans.factsNumber;
		hop.shape =
			between === undefined && number !== undefined
				? this.shapes.ofNumbered(
						evidence,
						sourceRow === NONE ? NONE : number[sourceRow]!,
						destinationRow === NONE ? NONE : number[destinationRow]!,
						source,
						destination,
					)
				: this.shapes.of(evidence, source, destination, between?.waypoint, between?.queue);
		hop.sourceRow = sourceRow;
		hop.destinationRow = isCalleeSeen ? destinationRow : NONE;
		hop.sourceAppRow = isCallerSeen ? tree.appRow[caller]! : NONE;
		hop.destinationAppRow = destinationAppRow;
		hop.waypointRow = waypointRow;
		hop.startMs = isCallerSeen ? this.callStartMs(caller) : spans.startMs[row]!;
		hop.sourceLatencyNs = isCallerSeen ? this.callLatencyNs(caller) : -1;
		hop.destinationLatencyNs = isCalleeSeen
			? spans.durationNs[destinationRow]!
			: waypointRow === NONE
				? -1
				: spans.durationNs[waypointRow]!;
		hop.appNs = appNs;
		hop.proxyNs = appNs < 0 ? -1 : Math.max(0, spans.durationNs[destinationRow]! - appNs);
		hop.attempts = attempts;
		hop.requestBytes = spans.requestBytes[row]! || spans.requestBytes[otherRow]!;
		hop.responseBytes = spans.responseBytes[row]! || spans.responseBytes[otherRow]!;
		hop.weight = spans.weight[row]! || spans.weight[otherRow]!;
		this.visit(hop);
	}

	private triesOf(half: number): Tries | undefined {
		// Most traces have none, and asking an empty Map five times a hop costs more than the hop.
		return this.tries.size === 0 ? undefined : this.tries.get(half);
	}

	private isLaterTry(half: number): boolean {
		return this.firstTryOf.size > 0 && this.firstTryOf.has(half);
	}

	private attemptsOf(half: number): number {
		let attempts = Math.max(this.tree.leaves[half]!, this.factsAt(this.tree.networkRow[half]!).attempts);
		const tries = this.triesOf(half);
		if (tries !== undefined) for (const other of tries.others) attempts += this.tree.leaves[other]!;
		return attempts;
	}

	/** How a call ended is told by its last try. */
	private lastTryRow(half: number): number {
		let row = this.tree.networkRow[half]!;
		const tries = this.triesOf(half);
		if (tries === undefined) return row;
		for (const other of tries.others) {
			const otherRow = this.tree.networkRow[other]!;
			if (this.factsAt(otherRow).retry >= this.factsAt(row).retry) row = otherRow;
		}
		return row;
	}

	private callStartMs(half: number): number {
		let startMs = this.spans.startMs[this.tree.firstRow[half]!]!;
		const tries = this.triesOf(half);
		if (tries === undefined) return startMs;
		for (const other of tries.others) startMs = Math.min(startMs, this.spans.startMs[this.tree.firstRow[other]!]!);
		return startMs;
	}

	private callEndMs(half: number): number {
		let endMs = this.endMs(this.tree.firstRow[half]!);
		const tries = this.triesOf(half);
		if (tries === undefined) return endMs;
		for (const other of tries.others) endMs = Math.max(endMs, this.endMs(this.tree.firstRow[other]!));
		return endMs;
	}

	/** What the caller felt: its sidecar's span, or from the first try to the end of the last. */
	private callLatencyNs(half: number): number {
		const { tree, spans } = this;
		if (this.triesOf(half) !== undefined) return Math.max(0, (this.callEndMs(half) - this.callStartMs(half)) * 1e6);
		// Several tries in one half stand below one span, whose time is that of all of them.
		return spans.durationNs[tree.leaves[half]! > 1 ? tree.firstRow[half]! : tree.networkRow[half]!]!;
	}

	/** The mesh's name of a half's workload goes before the app's own. */
	private localOf(half: number): Endpoint {
		return this.factsAt(this.tree.networkRow[half]!).local;
	}

	private factsAt(row: number): SpanFacts {
		return this.spans.facts[row]!;
	}

	private endMs(row: number): number {
		return this.spans.startMs[row]! + this.spans.durationNs[row]! / 1e6;
	}
}

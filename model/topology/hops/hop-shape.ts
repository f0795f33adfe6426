/**
 * What the facts of a hop's two ends come to: the edge, who reported it, whether it was mutually authenticated, how it ended. Computed
 * once for each combination of facts, since calls of one edge share them.
 */
import { EXTERNAL, UNKNOWN, type Endpoint } from "../endpoint.ts";
import { type LegTls, NO_TLS_FACTS, type SpanFacts } from "../facts.ts";
import type { HopShape } from "../hop.ts";
import { isOverflow } from "../sources/outcome.ts";
import type { Evidence, MtlsFinding, MtlsStatus, Outcome, Reporter, Verification } from "../series.ts";

const SLOT_WORDS = 4;
const INITIAL_SLOTS = 1 << 10;
const EVIDENCE_NUMBER: Readonly<Record<Evidence, number>> = {
	pair: 0,
	"request-id": 1,
	"client-only": 2,
	"server-only": 3,
	"client-client": 4,
	"server-server": 5,
	waypoint: 6,
	metric: 7,
	log: 8,
};

/**
 * Shapes by the identity of facts, which whoever owns this interns; bounded there too. Of the two ends there is at least one.
 *
 * `destination` is the child's own CLIENT span for `client-client`, `source` the SERVER span above for `server-server`. `waypoint` is
 * the span that names both ends (rule 2). Where a queue stands between producer and consumer, it is the other end of either.
 */
export class HopShapes {
	private readonly byEnds = new Map<SpanFacts | undefined, Map<SpanFacts | undefined, Known[]>>();
	size = 0;
	/** Open addressing, by numbers of facts. Evidence and 16 times the shape's number, +1; both ends' numbers. */
	private byNumbers = new Int32Array(INITIAL_SLOTS * SLOT_WORDS);
	private numbered = 0;
	private readonly shapes: HopShape[] = [];

	/**
	 * As {@link of} where nothing stands between the ends, with the numbers of their facts, -1 for none. All calls between two
	 * calls of {@link clear} must number alike.
	 */
	ofNumbered(
		evidence: Evidence,
		sourceNumber: number,
		destinationNumber: number,
		source: SpanFacts | undefined,
		destination: SpanFacts | undefined,
	): HopShape {
		const { byNumbers } = this;
		const evidenceNumber = EVIDENCE_NUMBER[evidence];
		const last = byNumbers.length - SLOT_WORDS;
		let slot = slotOf(evidenceNumber, sourceNumber, destinationNumber) & last;
		for (let word = byNumbers[slot]!; word !== 0; word = byNumbers[slot]!) {
			if (byNumbers[slot + 1] === sourceNumber && byNumbers[slot + 2] === destinationNumber)
				if (((word - 1) & 15) === evidenceNumber) return this.shapes[(word - 1) >>> 4]!;
			slot = (slot + SLOT_WORDS) & last;
		}
		const shape = this.of(evidence, source, destination, undefined, undefined);
		byNumbers[slot] = ((shape.number << 4) | evidenceNumber) + 1;
		byNumbers[slot + 1] = sourceNumber;
		byNumbers[slot + 2] = destinationNumber;
		if (++this.numbered * SLOT_WORDS * 2 > byNumbers.length) this.growNumbered();
		return shape;
	}

	of(
		evidence: Evidence,
		source: SpanFacts | undefined,
		destination: SpanFacts | undefined,
		waypoint: SpanFacts | undefined,
		queue: Endpoint | undefined,
	): HopShape {
		let bySource = this.byEnds.get(source);
		if (bySource === undefined) this.byEnds.set(source, (bySource = new Map()));
		let known = bySource.get(destination);
		if (known === undefined) bySource.set(destination, (known = []));
		for (let i = 0; i < known.length; i++) {
			const { shape, ends } = known[i]!;
			if (shape.evidence === evidence && ends.waypoint === waypoint && ends.queue?.service === queue?.service) return shape;
		}
		const ends = { evidence, source, destination, waypoint, queue };
		const shape = shapeOf(ends, this.size);
		known.push({ shape, ends });
		this.shapes.push(shape);
		this.size++;
		return shape;
	}

	clear(): void {
		this.byEnds.clear();
		this.size = 0;
		this.shapes.length = 0;
		this.byNumbers = new Int32Array(INITIAL_SLOTS * SLOT_WORDS);
		this.numbered = 0;
	}

	private growNumbered(): void {
		const before = this.byNumbers;
		const grown = new Int32Array(before.length * 2);
		const last = grown.length - SLOT_WORDS;
		for (let at = 0; at < before.length; at += SLOT_WORDS) {
			const word = before[at]!;
			if (word === 0) continue;
			let slot = slotOf((word - 1) & 15, before[at + 1]!, before[at + 2]!) & last;
			while (grown[slot] !== 0) slot = (slot + SLOT_WORDS) & last;
			grown[slot] = word;
			grown[slot + 1] = before[at + 1]!;
			grown[slot + 2] = before[at + 2]!;
		}
		this.byNumbers = grown;
	}
}

function slotOf(evidence: number, source: number, destination: number): number {
	const hash = Math.imul(source, 0x9e3779b1) ^ Math.imul(destination, 0x85ebca6b) ^ Math.imul(evidence, 0xc2b2ae35);
	return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) & -SLOT_WORDS;
}

interface HopEnds {
	readonly evidence: Evidence;
	readonly source: SpanFacts | undefined;
	readonly destination: SpanFacts | undefined;
	readonly waypoint: SpanFacts | undefined;
	readonly queue: Endpoint | undefined;
}

interface Known {
	readonly shape: HopShape;
	readonly ends: HopEnds;
}

function shapeOf(ends: HopEnds, number: number): HopShape {
	const { evidence, source, destination, waypoint, queue } = ends;
	const callee = evidence === "client-client" ? undefined : (destination ?? waypoint);
	const caller = evidence === "server-server" ? undefined : source;
	const upstream = caller?.upstream;
	const downstream = waypoint === undefined ? callee?.downstream : waypoint.downstream;
	const mtls = findingOf(upstream, downstream);
	const first = caller ?? waypoint ?? callee ?? destination ?? source!;
	const last = callee ?? waypoint;
	const outcome = hasAnswerOf(last, first) ? last.outcome : first.outcome;
	const reporter: Reporter =
		waypoint !== undefined
			? "waypoint"
			: caller !== undefined && callee !== undefined
				? "both"
				: caller !== undefined
					? "source"
					: "destination";
	return {
		number,
		source: sourceOf(ends),
		target: targetOf(ends),
		protocol: queue === undefined ? protocolOf(caller ?? waypoint, callee, first) : "messaging",
		evidence,
		reporter,
		mtls,
		outcome,
		destinationOutcome: caller !== undefined && last !== undefined && last.outcome !== outcome ? last.outcome : undefined,
		code: first.code,
		flags: first.flags === "" && last !== undefined ? last.flags : first.flags,
		failedHandshake: (upstream ?? NO_TLS_FACTS).failure !== "" || (downstream ?? NO_TLS_FACTS).failure !== "",
		sourceCertificate: certificateOf(downstream),
		destinationCertificate: certificateOf(upstream),
		targetAddress: callee?.localAddress || caller?.peerAddress || "",
		sourceAddress: caller?.localAddress || callee?.peerAddress || "",
	};
}

/** A caller flagged as if it had reached nobody, where the callee shows whose answer it passed on. */
function hasAnswerOf(callee: SpanFacts | undefined, caller: SpanFacts): callee is SpanFacts {
	return callee !== undefined && caller.outcome === "no_response" && isOverflow(caller.flags) && caller.code === callee.code;
}

function sourceOf({ source, destination, waypoint, queue }: HopEnds): Endpoint {
	if (waypoint?.both !== undefined) return waypoint.both.source;
	if (source !== undefined) return source.local;
	return queue ?? destination?.peer?.endpoint ?? EXTERNAL;
}

function targetOf({ source, destination, waypoint, queue }: HopEnds): Endpoint {
	if (waypoint?.both !== undefined) return waypoint.both.destination;
	if (destination !== undefined) return destination.local;
	return queue ?? source?.peer?.endpoint ?? UNKNOWN;
}

function protocolOf(caller: SpanFacts | undefined, callee: SpanFacts | undefined, first: SpanFacts): SpanFacts["protocol"] {
	// gRPC is told by its status, which one end may lack; the word of either is enough.
	if (caller?.protocol === "grpc" || callee?.protocol === "grpc") return "grpc";
	return caller !== undefined && caller.protocol !== "unknown" ? caller.protocol : (callee ?? first).protocol;
}

function certificateOf(leg: LegTls | undefined): HopShape["sourceCertificate"] {
	if (leg?.peerNotAfterMs === undefined || leg.peerPrincipal === "") return undefined;
	return { notAfterMs: leg.peerNotAfterMs, issuer: leg.peerIssuer };
}

const RANK: readonly Verification[] = ["server", "client", "metric", "header", ""];

/**
 * mTLS of one hop from what its ends saw of the leg between them: the caller's upstream leg, the callee's downstream leg. Ends that
 * disagree are `mixed`, and both are kept.
 */
export function findingOf(upstream: LegTls | undefined, downstream: LegTls | undefined): MtlsFinding {
	const up = upstream ?? NO_TLS_FACTS;
	const told = downstream ?? NO_TLS_FACTS;
	// Anybody may write a header: beside what the other end saw itself it is worth nothing, and its names least of all.
	const down = told.verifiedBy === "header" && up.status !== "unknown" && up.verifiedBy !== "" ? NO_TLS_FACTS : told;
	const verifiedBy = RANK.indexOf(down.verifiedBy) <= RANK.indexOf(up.verifiedBy) ? down.verifiedBy : up.verifiedBy;
	return {
		status: statusOf(up.status, down.status),
		source: up.status,
		destination: told.status,
		sourcePrincipal: down.peerPrincipal || up.localPrincipal,
		destinationPrincipal: up.peerPrincipal || down.localPrincipal,
		tlsVersion: down.version || up.version,
		cipher: down.cipher || up.cipher,
		verifiedBy,
	};
}

export function statusOf(source: MtlsStatus, destination: MtlsStatus): MtlsStatus {
	if (source === "unknown" || source === destination) return destination;
	if (destination === "unknown") return source;
	// "Not mutual TLS" is borne out by either of the two that it may be.
	if (source === "none" && isNotMutual(destination)) return destination;
	if (destination === "none" && isNotMutual(source)) return source;
	return "mixed";
}

function isNotMutual(status: MtlsStatus): boolean {
	return status === "plaintext" || status === "tls";
}

export function isError(outcome: Outcome): boolean {
	return outcome === "server_error" || outcome === "no_response";
}

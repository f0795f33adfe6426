/**
 * What the facts of a hop's two ends come to: the edge, who reported it, whether it was mutually authenticated, how it ended. Computed
 * once for each combination of facts, since calls of one edge share them.
 */
import { EXTERNAL, UNKNOWN, type Endpoint } from "../endpoint.ts";
import { type LegTls, NO_TLS_FACTS, type SpanFacts } from "../facts.ts";
import type { HopShape } from "../hop.ts";
import type { Evidence, MtlsFinding, MtlsStatus, Outcome, Reporter, Verification } from "../series.ts";

/**
 * Shapes by the identity of facts, which whoever owns this interns; bounded there too. Of the two ends there is at least one.
 *
 * `destination` is the child's own CLIENT span for `client-client`, `source` the SERVER span above for `server-server`. `waypoint` is
 * the span that names both ends (rule 2). Where a queue stands between producer and consumer, it is the other end of either.
 */
export class HopShapes {
	private readonly byEnds = new Map<SpanFacts | undefined, Map<SpanFacts | undefined, Known[]>>();
	size = 0;

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
		this.size++;
		return shape;
	}

	clear(): void {
		this.byEnds.clear();
		this.size = 0;
	}
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
	const outcome = first.outcome;
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
	const down = downstream ?? NO_TLS_FACTS;
	const verifiedBy = RANK.indexOf(down.verifiedBy) <= RANK.indexOf(up.verifiedBy) ? down.verifiedBy : up.verifiedBy;
	return {
		status: statusOf(up.status, down.status),
		source: up.status,
		destination: down.status,
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

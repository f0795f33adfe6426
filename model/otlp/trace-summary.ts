/**
 * What a trace is in one line, and when two records of it are the same span; every engine asks here, so that they agree.
 */

export interface SummarySpan {
	/** Lower-case hex. */
	readonly spanId: string;
	/** Lower-case hex; empty for a root. */
	readonly parentSpanId: string;
	readonly kind: number;
	readonly statusCode: number;
	readonly startNs: bigint;
	readonly endNs: bigint;
	readonly service: string;
	readonly name: string;
}

/** As `TraceSummary` of store/store.ts, without the ID. */
export interface TraceOutline {
	readonly rootService: string;
	readonly rootName: string;
	readonly startTimeUnixNano: string;
	readonly durationNs: number;
	readonly spanCount: number;
	readonly errorCount: number;
	readonly services: readonly string[];
}

const ERROR = 2;

/**
 * Records with the same key are one span that was sent more than once. The id alone does not tell: in Zipkin's model the client's
 * and the server's half share it.
 */
export function spanIdentity(span: SummarySpan): string {
	return `${span.spanId}|${span.kind}|${span.startNs}|${span.endNs}|${span.service.length}|${span.service}|${span.name}`;
}

/** As comparing {@link spanIdentity}. */
function isSameSpan(a: SummarySpan, b: SummarySpan): boolean {
	return (
		a.spanId === b.spanId &&
		a.kind === b.kind &&
		a.startNs === b.startNs &&
		a.endNs === b.endNs &&
		a.service === b.service &&
		a.name === b.name
	);
}

/** @param spans at least one, each once */
export function outlineOf(spans: readonly SummarySpan[]): TraceOutline {
	const ids = new Set<string>();
	for (const { spanId } of spans) ids.add(spanId);
	let root = spans[0]!;
	let startNs = root.startNs;
	let endNs = root.endNs;
	let errorCount = 0;
	const services = new Set<string>();
	for (const span of spans) {
		if (comesBefore(span, root, ids)) root = span;
		if (span.startNs < startNs) startNs = span.startNs;
		if (span.endNs > endNs) endNs = span.endNs;
		if (span.statusCode === ERROR) errorCount++;
		services.add(span.service);
	}
	return {
		rootService: root.service,
		rootName: root.name,
		startTimeUnixNano: startNs.toString(),
		durationNs: endNs > startNs ? Number(endNs - startNs) : 0,
		spanCount: spans.length,
		errorCount,
		services: [...services].sort(),
	};
}

/**
 * Which of two spans is the root: one without a parent, else one whose parent is not known, else (a cycle) any; of equals the
 * earliest, and of those the smaller id and then the smaller kind, so that the answer does not depend on the order of arrival.
 */
function comesBefore(a: SummarySpan, b: SummarySpan, ids: ReadonlySet<string>): boolean {
	const rank = rootRank(a, ids) - rootRank(b, ids);
	if (rank !== 0) return rank < 0;
	if (a.startNs !== b.startNs) return a.startNs < b.startNs;
	if (a.spanId !== b.spanId) return a.spanId < b.spanId;
	if (a.kind !== b.kind) return a.kind < b.kind;
	if (a.service !== b.service) return a.service < b.service;
	return a.name < b.name;
}

function rootRank(span: SummarySpan, ids: ReadonlySet<string>): number {
	if (span.parentSpanId === "" || /^0+$/.test(span.parentSpanId)) return 0;
	return ids.has(span.parentSpanId) ? 2 : 1;
}

/** The spans of a trace, each once. Identities are written out only for ids that come more than once: hardly any do. */
export class SpanSet {
	/** In the order in which they were added. */
	readonly spans: SummarySpan[] = [];
	private readonly firstOfId = new Map<string, SummarySpan>();
	/** Of those that share an id with another. */
	private readonly identities = new Set<string>();

	/** False when the span is there already. */
	add(span: SummarySpan): boolean {
		const first = this.firstOfId.get(span.spanId);
		if (first === undefined) this.firstOfId.set(span.spanId, span);
		else {
			if (isSameSpan(first, span)) return false;
			const identity = spanIdentity(span);
			if (this.identities.has(identity)) return false;
			this.identities.add(identity);
		}
		this.spans.push(span);
		return true;
	}
}

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
	const outliner = new TraceOutliner();
	for (const span of spans) outliner.add(span);
	return outliner.outline(spans);
}

/** Outlines a trace while its spans come, each once. */
export class TraceOutliner {
	private readonly services = new Set<string>();
	private spanCount = 0;
	private errorCount = 0;
	private startNs = 0n;
	private endNs = 0n;
	private root: SummarySpan | undefined;

	add(span: SummarySpan): void {
		const { startNs, endNs } = span;
		if (this.spanCount === 0 || startNs < this.startNs) this.startNs = startNs;
		if (this.spanCount === 0 || endNs > this.endNs) this.endNs = endNs;
		this.spanCount++;
		if (span.statusCode === ERROR) this.errorCount++;
		this.services.add(span.service);
		if (isParentless(span) && (this.root === undefined || comesBefore(span, this.root))) this.root = span;
	}

	/** @param spans all that were added, at least one: asked where none is without a parent */
	outline(spans: readonly SummarySpan[]): TraceOutline {
		const { startNs, endNs, spanCount, errorCount } = this;
		const root = this.root ?? rootOf(spans);
		return {
			rootService: root.service,
			rootName: root.name,
			startTimeUnixNano: startNs.toString(),
			durationNs: endNs > startNs ? Number(endNs - startNs) : 0,
			spanCount,
			errorCount,
			services: [...this.services].sort(),
		};
	}
}

/** Where every span names a parent: one whose parent is not known, else (a cycle) any. */
function rootOf(spans: readonly SummarySpan[]): SummarySpan {
	const ids = new Set<string>();
	for (const { spanId } of spans) ids.add(spanId);
	const orphans = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
	return (orphans.length > 0 ? orphans : spans).reduce((first, span) => (comesBefore(span, first) ? span : first));
}

function isParentless({ parentSpanId }: SummarySpan): boolean {
	return parentSpanId === "" || (parentSpanId.startsWith("0") && /^0+$/.test(parentSpanId));
}

/** Of equals the smaller id and then the smaller kind, so that the answer does not depend on the order of arrival. */
function comesBefore(a: SummarySpan, b: SummarySpan): boolean {
	if (a.startNs !== b.startNs) return a.startNs < b.startNs;
	if (a.spanId !== b.spanId) return a.spanId < b.spanId;
	if (a.kind !== b.kind) return a.kind < b.kind;
	if (a.service !== b.service) return a.service < b.service;
	return a.name < b.name;
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

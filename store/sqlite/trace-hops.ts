/** A trace's spans decoded, from whatever windows and blocks they lie in, for the hop rules. */
import { decodeResourceGroup, decodeScopeGroup, decodeSpan } from "../../model/otlp/decode.ts";
import type { OtlpResource, OtlpScope, OtlpSpan } from "../../model/otlp/types.ts";
import { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import type { BlockReader } from "../block/reader.ts";
import { forEachBlockOfTrace, type TraceWords } from "./trace-rows.ts";
import type { WindowReader } from "./window-reader.ts";

type OnSpan = (span: OtlpSpan, resource: OtlpResource, scope: OtlpScope) => void;

/** Some milliseconds of work. */
const ROWS_BETWEEN_CHECKS = 256;

export class HopGatherer {
	readonly spans = new DecodedSpans();
	private readonly words: TraceWords;
	private readonly check: () => void;
	private readonly onSpan: OnSpan | undefined;

	/** @param check throws to end the work, which is then left @param onSpan told of every span, twice of one that was stored twice */
	constructor(words: TraceWords, check: () => void, onSpan?: OnSpan) {
		this.words = words;
		this.check = check;
		this.onSpan = onSpan;
	}

	add(window: WindowReader): void {
		forEachBlockOfTrace(window, this.words, (block, first, end) => {
			const origins = new Map<number, { readonly resource: OtlpResource; readonly scope: OtlpScope }>();
			for (let row = first; row < end; row++) {
				const scope = block.head().classes.scope[block.classOfRow(row)]!;
				let origin = origins.get(scope);
				if (origin === undefined) origins.set(scope, (origin = originOf(block, scope)));
				const bytes = block.record(row);
				const span = decodeSpan(bytes, 0, bytes.length);
				this.spans.add(span, origin.resource, origin.scope);
				this.onSpan?.(span, origin.resource, origin.scope);
				if ((row - first) % ROWS_BETWEEN_CHECKS === ROWS_BETWEEN_CHECKS - 1) this.check();
			}
		});
	}
}

function originOf(block: BlockReader, place: number): { readonly resource: OtlpResource; readonly scope: OtlpScope } {
	const { resourceItem, scopeItem } = block.head().scopes[place]!;
	const resource = block.item(resourceItem);
	const scope = block.item(scopeItem);
	return {
		resource: decodeResourceGroup(resource, 0, resource.length).resource,
		scope: decodeScopeGroup(scope, 0, scope.length).scope,
	};
}

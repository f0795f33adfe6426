/** Metrics between those who count and those who tell: one shape, told as Prometheus text and as OTLP. */
import { WireWriter } from "../../model/protobuf/writer.ts";

/** Names in Prometheus' alphabet. */
export type LabelPairs = readonly (readonly [name: string, value: string])[];

/** Labels of a series; encoded once, told many times. */
export class LabelSet {
	readonly pairs: LabelPairs;
	private readonly encoded = new Map<number, Uint8Array>();

	constructor(pairs: LabelPairs) {
		this.pairs = pairs;
	}

	/** As repeated KeyValue with texts, under this field number. */
	encodedAs(field: number): Uint8Array {
		let bytes = this.encoded.get(field);
		if (bytes === undefined) {
			const writer = new WireWriter(1024);
			for (const [name, value] of this.pairs) {
				const pair = writer.begin(field);
				writer.stringField(1, name);
				const any = writer.begin(2);
				writer.stringField(1, value);
				writer.end(any);
				writer.end(pair);
			}
			bytes = writer.finish();
			this.encoded.set(field, bytes);
		}
		return bytes;
	}
}

export const NO_LABELS = new LabelSet([]);

/** Counts by bucket; the last one has no upper bound. */
export class Histogram {
	readonly bounds: readonly number[];
	readonly counts: Float64Array;
	count = 0;
	sum = 0;

	constructor(bounds: readonly number[]) {
		this.bounds = bounds;
		this.counts = new Float64Array(bounds.length + 1);
	}

	record(value: number): void {
		const { bounds } = this;
		let i = 0;
		while (i < bounds.length && value > bounds[i]!) i++;
		this.counts[i]!++;
		this.count++;
		this.sum += value;
	}
}

export interface Sample {
	readonly labels: LabelSet;
	/** Since when it counts, epoch ms; of a gauge it says nothing. */
	readonly startMs: number;
	readonly value: number | Histogram;
}

export interface MetricFamily {
	readonly name: string;
	readonly help: string;
	readonly kind: "counter" | "gauge" | "histogram";
	/** UCUM: `ms`, `By`, `1`. */
	readonly unit: string;
	readonly samples: readonly Sample[];
}

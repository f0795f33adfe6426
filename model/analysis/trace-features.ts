/**
 * What differs between two sets of traces: everything that can be said of a trace is counted on both sides, and ranked by how much more
 * frequent it certainly is on the first.
 *
 * A feature is counted wherever in the trace it stands, since what makes a request slow is seldom said by its own span; and by the
 * service or call at which it stands, since a version or an error means something only there. Of the two, what differs more is told.
 */
import { type ScalarType, scalarText } from "../otlp/attribute-match.ts";
import type { OtlpKeyValue, OtlpResource, OtlpSpan } from "../otlp/types.ts";
import type { ToldCall } from "../topology/told-hops.ts";
import { certainExcess } from "./shares.ts";

/** `attribute`: of a span or its resource. `call`, `mtls`, `flag`, `code` and `retried` are of calls, as the graph counts them. */
export const FEATURE_KINDS = ["attribute", "service", "operation", "status", "call", "mtls", "flag", "code", "retried"] as const;
export type FeatureKind = (typeof FEATURE_KINDS)[number];

export interface Difference {
	readonly kind: FeatureKind;
	/** Of an attribute its key, else the kind. */
	readonly key: string;
	readonly value: string;
	/** Of an attribute's value. */
	readonly type: ScalarType | undefined;
	/** Where it stands; undefined for anywhere in the trace. */
	readonly service: string | undefined;
	readonly edge: { readonly id: string; readonly source: string; readonly target: string } | undefined;
	/** Traces with it on each side, of those compared. */
	readonly selected: number;
	readonly others: number;
	/** By how much the share among the selected at least exceeds that among the others, 0 to 1. */
	readonly excess: number;
}

/** Longer values are texts, not features. */
const MAX_VALUE_LENGTH = 200;
/** Some 50 MB. What is seen once or twice goes first, which is never told anyway. */
const MAX_FEATURES = 200_000;
const RARE = 2;
/** Status code of a span. */
const ERROR = 2;

/** A feature at a place, found once for all who say it again. Not after {@link TraceFeatures.makeRoom} made room. */
export interface Saying {
	readonly feature: Counter;
	readonly place: Counter;
}

interface Counter {
	selected: number;
	others: number;
	/** The last trace that counted. */
	trace: number;
}

interface Feature extends Counter {
	readonly kind: FeatureKind;
	readonly key: string;
	readonly value: string;
	readonly type: ScalarType | undefined;
	readonly places: Map<string, Counter & { readonly edge: Difference["edge"] }>;
}

export class TraceFeatures {
	private readonly features = new Map<string, Feature>();
	private size = 0;
	private trace = 0;
	private side: "selected" | "others" = "selected";
	readonly compared = { selected: 0, others: 0 };

	/** What is added from now on is of another trace. */
	begin(side: "selected" | "others"): void {
		this.side = side;
		this.trace++;
		this.compared[side]++;
	}

	/** Between traces. True where features were forgotten, and sayings that are kept with them. */
	makeRoom(): boolean {
		if (this.size <= MAX_FEATURES) return false;
		this.forgetRare();
		return true;
	}

	addSpan({ name = "", status, attributes = [] }: OtlpSpan, resource: OtlpResource): void {
		const service = serviceIn(resource);
		this.addAll(this.ofSpans(resource, name, status?.code ?? 0));
		for (const attribute of attributes) this.add(this.ofAttribute(attribute, service));
	}

	addHop(hop: ToldCall & { readonly attempts: number }): void {
		this.addAll(this.ofCall(hop));
		if (hop.attempts > 1) this.add(this.ofRetries(hop));
	}

	/** What spans of one resource, name and status code say, attributes of their own aside. */
	ofSpans(resource: OtlpResource, name: string, statusCode: number): readonly Saying[] {
		const service = serviceIn(resource);
		const own = (resource.attributes ?? []).filter((attribute) => attribute !== serviceName(resource));
		return [
			this.find("service", "service", service, undefined, "", undefined),
			this.find("operation", "operation", name, undefined, service, undefined),
			statusCode === ERROR ? this.find("status", "status", "error", undefined, service, undefined) : undefined,
			...own.map((attribute) => this.ofAttribute(attribute, service)),
		].filter((saying) => saying !== undefined);
	}

	/** Undefined where it is no feature. */
	ofAttribute({ key = "", value }: OtlpKeyValue, service: string): Saying | undefined {
		const scalar = scalarText(value);
		return scalar === undefined ? undefined : this.find("attribute", key, scalar.text, scalar.type, service, undefined);
	}

	/** What calls of one kind say, retries aside. */
	ofCall({ edgeId, source, target, mtls, code, flags }: ToldCall): readonly Saying[] {
		const edge = { id: edgeId, source, target };
		return [
			this.find("call", "call", `${source} → ${target}`, undefined, edgeId, edge),
			this.find("mtls", "mtls", mtls.status, undefined, edgeId, edge),
			code === "" ? undefined : this.find("code", "code", code, undefined, edgeId, edge),
			...flags
				.split(",")
				.map((flag) => (flag === "" ? undefined : this.find("flag", "flag", flag, undefined, edgeId, edge))),
		].filter((saying) => saying !== undefined);
	}

	ofRetries({ edgeId, source, target }: ToldCall): Saying | undefined {
		return this.find("retried", "retried", "yes", undefined, edgeId, { id: edgeId, source, target });
	}

	add(saying: Saying | undefined): void {
		if (saying === undefined) return;
		this.tick(saying.feature);
		this.tick(saying.place);
	}

	addAll(sayings: readonly Saying[]): void {
		for (let i = 0; i < sayings.length; i++) this.add(sayings[i]!);
	}

	/** Most certain first. */
	differences(limit: number): readonly Difference[] {
		const { selected: ofSelected, others: ofOthers } = this.compared;
		const excessOf = ({ selected, others }: Counter): number => certainExcess(selected, ofSelected, others, ofOthers);
		const found: Difference[] = [];
		for (const feature of this.features.values()) {
			let best: Counter = feature;
			let excess = excessOf(feature);
			let place: string | undefined;
			for (const [name, counter] of feature.places) {
				const own = excessOf(counter);
				// Where it stands in one place only, that is told. Of places alike, the same one whatever was read first.
				const isAlike = own === excess && (feature.places.size === 1 || (place !== undefined && name < place));
				if (own > excess || isAlike) {
					excess = own;
					best = counter;
					place = name;
				}
			}
			if (excess <= 0) continue;
			const edge = place === undefined ? undefined : feature.places.get(place)!.edge;
			found.push({
				kind: feature.kind,
				key: feature.key,
				value: feature.value,
				type: feature.type,
				service: place === undefined || place === "" || edge !== undefined ? undefined : place,
				edge,
				selected: best.selected,
				others: best.others,
				excess,
			});
		}
		return found.sort((a, b) => b.excess - a.excess || compare(a.key, b.key) || compare(a.value, b.value)).slice(0, limit);
	}

	private find(
		kind: FeatureKind,
		key: string,
		value: string,
		type: ScalarType | undefined,
		place: string,
		edge: Difference["edge"],
	): Saying | undefined {
		if (key.length + value.length > MAX_VALUE_LENGTH) return undefined;
		const name = `${kind}\u0000${key}\u0000${type ?? ""}\u0000${value}`;
		let feature = this.features.get(name);
		if (feature === undefined) {
			feature = { kind, key, value, type, places: new Map(), selected: 0, others: 0, trace: 0 };
			this.features.set(name, feature);
			this.size++;
		}
		let counter = feature.places.get(place);
		if (counter === undefined) {
			counter = { edge, selected: 0, others: 0, trace: 0 };
			feature.places.set(place, counter);
			this.size++;
		}
		return { feature, place: counter };
	}

	/** A trace counts once, however many of its spans say it. */
	private tick(counter: Counter): void {
		if (counter.trace === this.trace) return;
		counter.trace = this.trace;
		counter[this.side]++;
	}

	private forgetRare(): void {
		this.size = 0;
		for (const [name, { selected, others, places }] of this.features) {
			if (selected + others <= RARE) this.features.delete(name);
			else this.size += 1 + places.size;
		}
	}
}

function serviceName({ attributes = [] }: OtlpResource): OtlpKeyValue | undefined {
	return attributes.find(({ key }) => key === "service.name");
}

/** As features name the place where a span stands. */
export function serviceIn(resource: OtlpResource): string {
	return scalarText(serviceName(resource)?.value)?.text ?? "";
}

function compare(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

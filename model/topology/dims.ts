/**
 * A series' meaning as text: what tells series apart in the store. Equal dims give equal text, and the text gives the dims back.
 *
 * Arrays instead of objects: a store holds tens of thousands of them, and each is read again at every start.
 */
import { type Endpoint, NODE_KINDS } from "./endpoint.ts";
import { DamagedRollupError } from "./rollup-layout.ts";
import {
	EVIDENCES,
	MTLS_STATUSES,
	type MtlsFinding,
	OUTCOMES,
	PROTOCOLS,
	REPORTERS,
	type SeriesDims,
	UNITS,
	VERIFICATIONS,
} from "./series.ts";

const LENGTH = 10;
const ENDPOINT_LENGTH = 5;
const MTLS_LENGTH = 8;

/** Canonical JSON. */
export function canonicalDims(dims: SeriesDims): string {
	const { mtls } = dims;
	return JSON.stringify([
		endpointParts(dims.source),
		endpointParts(dims.target),
		dims.protocol,
		dims.unit,
		dims.evidence,
		dims.reporter,
		dims.sampled ? 1 : 0,
		[
			mtls.status,
			mtls.source,
			mtls.destination,
			mtls.sourcePrincipal,
			mtls.destinationPrincipal,
			mtls.tlsVersion,
			mtls.cipher,
			mtls.verifiedBy,
		],
		dims.outcome,
		dims.destinationOutcome ?? "",
	]);
}

function endpointParts({ kind, cluster, namespace, service, workload }: Endpoint): readonly string[] {
	return [kind, cluster, namespace, service, workload];
}

/** @throws DamagedRollupError when it is not what {@link canonicalDims} writes */
export function parseDims(text: string): SeriesDims {
	const parts = partsOf(json(text), LENGTH);
	const outcome = parts[9];
	return {
		source: endpointOf(parts[0]),
		target: endpointOf(parts[1]),
		protocol: wordOf(parts[2], PROTOCOLS),
		unit: wordOf(parts[3], UNITS),
		evidence: wordOf(parts[4], EVIDENCES),
		reporter: wordOf(parts[5], REPORTERS),
		sampled: parts[6] === 1,
		mtls: mtlsOf(parts[7]),
		outcome: wordOf(parts[8], OUTCOMES),
		destinationOutcome: outcome === "" ? undefined : wordOf(outcome, OUTCOMES),
	};
}

function json(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		throw new DamagedRollupError("a series' dims are no JSON");
	}
}

function endpointOf(value: unknown): Endpoint {
	const parts = partsOf(value, ENDPOINT_LENGTH);
	return {
		kind: wordOf(parts[0], NODE_KINDS),
		cluster: textOf(parts[1]),
		namespace: textOf(parts[2]),
		service: textOf(parts[3]),
		workload: textOf(parts[4]),
	};
}

function mtlsOf(value: unknown): MtlsFinding {
	const parts = partsOf(value, MTLS_LENGTH);
	return {
		status: wordOf(parts[0], MTLS_STATUSES),
		source: wordOf(parts[1], MTLS_STATUSES),
		destination: wordOf(parts[2], MTLS_STATUSES),
		sourcePrincipal: textOf(parts[3]),
		destinationPrincipal: textOf(parts[4]),
		tlsVersion: textOf(parts[5]),
		cipher: textOf(parts[6]),
		verifiedBy: wordOf(parts[7], VERIFICATIONS),
	};
}

function partsOf(value: unknown, length: number): readonly unknown[] {
	if (!Array.isArray(value) || value.length !== length)
		throw new DamagedRollupError("a series' dims have another number of parts");
	return value as readonly unknown[];
}

function textOf(value: unknown): string {
	if (typeof value !== "string") throw new DamagedRollupError("a series' dims have a part that is no text");
	return value;
}

function wordOf<T extends string>(value: unknown, words: readonly T[]): T {
	const word = words.find((candidate) => candidate === value);
	if (word === undefined) throw new DamagedRollupError(`a series' dims have a word that is not known: ${String(value)}`);
	return word;
}

/**
 * Records as they go from the writer thread to the topology thread: numbers a row, and the text that rows share told once as a profile.
 */

/** What distinct records say apart from their numbers; values as text, as sent. */
export interface Profile {
	readonly id: number;
	/** OTLP span kind and status code; 0 for log records. */
	readonly kind: number;
	readonly status: number;
	/** The span's name where it tells emitters apart; empty otherwise. */
	readonly name: string;
	readonly scope: string;
	readonly resource: readonly (readonly [string, string])[];
	readonly attributes: readonly (readonly [string, string])[];
}

/** Profiles that who reads groups remembers: beyond it all are forgotten and told again. They are numbered one after another. */
export const MAX_PROFILES = 1 << 15;

export const WORDS_A_ROW = 11;
/** Places of a row's words. Ids as in RecordColumns; the request id is a hash. */
export const WORD = { traceId: 0, spanId: 4, parentId: 6, requestId: 8, profile: 10 } as const;

export const NUMBERS_A_ROW = 5;
/** Epoch ms; ns; bytes; 1 / sampling probability, 0 where the record does not say. */
export const NUMBER = { startMs: 0, durationNs: 1, requestBytes: 2, responseBytes: 3, weight: 4 } as const;

export interface RecordRows {
	readonly count: number;
	readonly words: Uint32Array<ArrayBuffer>;
	readonly numbers: Float64Array<ArrayBuffer>;
	/** Those that no rows before had, in the order in which the rows come to them: their numbers ascend. */
	readonly profiles: readonly Profile[];
}

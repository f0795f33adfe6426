/** The bytes of a roll-up: what its writer (rollup.ts) and its reader (rollup-reader.ts) share. */
import { WIRE_LENGTH, WIRE_VARINT } from "../protobuf/reader.ts";

/** Bytes that no roll-up is made of: they were damaged, or written by another version. */
export class DamagedRollupError extends Error {
	override readonly name = "DamagedRollupError";
}

/** In the order of the mask's bits. */
export const SCALARS = [
	"observed",
	"count",
	"attempts",
	"bytesSent",
	"bytesReceived",
	"failedHandshakes",
	"appNs",
	"appCount",
	"proxyNs",
	"sourceLatencyNs",
	"destinationLatencyNs",
] as const;
export const HAS_TIMES = 1 << 11;
export const HAS_CODES = 1 << 12;
export const HAS_FLAGS = 1 << 13;
export const HAS_SOURCE_LATENCY = 1 << 14;
export const HAS_DESTINATION_LATENCY = 1 << 15;

/** Field number of a record: also the version of its layout. */
export const RECORD_FIELD = 1;
export const RECORD_TAG = RECORD_FIELD * 8 + WIRE_LENGTH;
/** A code or flag is a number written as such (field 1) or a text (field 2). */
export const NUMBER_FIELD = 1;
export const NUMBER_TAG = NUMBER_FIELD * 8 + WIRE_VARINT;
export const TEXT_FIELD = 2;
export const TEXT_TAG = TEXT_FIELD * 8 + WIRE_LENGTH;

/** Counts of a histogram: whole and above zero, as nearly all are, or any. */
export const COUNTS_PLAIN = 0;
export const COUNTS_ANY = 1;

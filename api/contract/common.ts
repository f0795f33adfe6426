/**
 * Shapes that several answers of `/api/v1` share. The server answers with them, the UI reads them, and the OpenAPI document is
 * generated from them, so the three cannot disagree. Browser-safe: imports zod and model/ only.
 */
import * as z from "zod";
import { ERRORS, type ErrorCode } from "../../model/errors.ts";

/** What every query parameter arrives as. */
export const text = z.string();

/** 64-bit integers are decimal strings: JavaScript's and most JSON parsers' numbers end at 2^53. */
export const decimalString = z.string().regex(/^-?\d+$/);

export const timeUnixNano = decimalString.meta({
	description: "Nanoseconds since the Unix epoch, as a decimal string.",
	examples: ["1767225600000000000"],
});

export const epochMs = z.number().meta({ description: "Milliseconds since the Unix epoch.", examples: [1767225600000] });

export const moment = z.string().meta({ description: "RFC 3339, UTC.", examples: ["2026-01-01T12:00:00.000Z"] });

export const traceIdText = z
	.string()
	.regex(/^[0-9a-f]{32}$/)
	.meta({ description: "Trace ID: 32 lower-case hex digits.", examples: ["4bf92f3577b34da6a3ce929d0e0e4736"] });

export const attributes = z.record(z.string(), z.unknown()).meta({
	description:
		"Attributes by key. Strings, numbers and booleans as such, 64-bit integers as decimal strings, arrays and maps nested.",
	examples: [{ "http.request.method": "GET", "http.response.status_code": "200" }],
});

const errorCodes = Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]];

export const errorAnswer = z
	.object({
		error: z.object({
			code: z.enum(errorCodes).meta({ description: "Stable; act on this. docs/errors.md lists them." }),
			message: z.string().meta({ description: "For a person: names the field and the fix. May change." }),
			details: z.record(z.string(), z.unknown()).optional(),
		}),
	})
	.meta({
		id: "Error",
		description: "Every error of the API has this shape.",
		examples: [{ error: { code: "invalid_argument", message: "unknown parameter `servce`; did you mean `service`?" } }],
	});
export type ErrorAnswer = z.infer<typeof errorAnswer>;

export const searchedInfo = z
	.object({
		windows: z.number().meta({ description: "Windows (one file an hour by default) that were opened." }),
		blocks: z.number().meta({ description: "Blocks in them." }),
		blocksSkipped: z.number().meta({ description: "Blocks that an index, a time range or a token filter ruled out." }),
		spansScanned: z.number().meta({ description: "Records whose columns were compared." }),
		truncated: z.boolean().meta({
			description:
				"True when the search ended before the whole range was seen: at its time budget, or of logs at 32 MiB of records.",
		}),
		damagedWindows: z
			.array(z.string())
			.readonly()
			.meta({ description: "Windows that could not be read; the rest was searched." }),
		hops: z
			.object({
				rangeMs: z.number().meta({ description: "Length of the range." }),
				skippedMs: z.number().meta({
					description: "How much of it was passed over, since the graph counts no such hop there.",
				}),
				tracesChecked: z.number().meta({ description: "Traces whose hops were looked at." }),
			})
			.optional()
			.meta({ description: "Of a search by edge or mTLS status." }),
	})
	.meta({
		id: "SearchedInfo",
		description: "What a search looked at: why it was slow, or empty.",
		examples: [{ windows: 2, blocks: 40, blocksSkipped: 37, spansScanned: 61200, truncated: false, damagedWindows: [] }],
	});
export type SearchedInfo = z.infer<typeof searchedInfo>;

/** Parameters that several calls take. */
export const commonQuery = {
	service: text.optional().meta({ description: "Exact service name (`service.name`).", examples: ["checkout"] }),
	attr: z
		.array(text)
		.optional()
		.meta({
			description:
				"`key=value`, repeatable; all must hold. The first `=` splits, so keys may hold `:`. A bare value matches the text whatever its type; " +
				'`"value"` in JSON quotes or `string:value` only strings; `int:5`, `double:0.5`, `bool:true` that type and value.',
			examples: [["http.response.status_code=int:503", "guid:x-request-id=7f0c1a52"]],
		}),
	from: text.optional().meta({
		description: "Start of the range, inclusive: RFC 3339, epoch milliseconds, or relative (`now-1h`). Default `now-1h`.",
		examples: ["now-15m", "2026-01-01T00:00:00Z", "1767225600000"],
	}),
	to: text.optional().meta({
		description: "End of the range, exclusive; written as `from`. Default `now`.",
		examples: ["now"],
	}),
};

/** Caps of the query API; an answer beyond one is refused with `query_too_broad`, which names it. */
export const CAPS = {
	traces: 1_000,
	/** Steps of time of a grid of durations. */
	columns: 240,
	differences: 200,
	logs: 1_000,
	series: 10_000,
	operations: 1_000,
	/** Raw points read for one `/metrics/query`, over all series. */
	points: 100_000,
	steps: 11_000,
	attributeFilters: 32,
	/** Longest range of a trace or log search, and of a metric query. */
	searchRangeDays: 92,
	metricRangeDays: 400,
	/** Longest window of the graph and what is told of it; hours and days are kept for 90 days. */
	graphRangeDays: 92,
} as const;

export const DEFAULT_LIMITS = { traces: 20, columns: 120, differences: 30, logs: 100, series: 100, operations: 100 } as const;

export function limitParameter(what: string, fallback: number, cap: number): z.ZodOptional<z.ZodString> {
	return z
		.string()
		.regex(/^\d+$/)
		.optional()
		.meta({ description: `Most ${what} to answer: 1 to ${cap}. Default ${fallback}.`, examples: [String(fallback)] });
}

/** Trace search, and one trace by its ID: the body goes from the reader to the client without ever being parsed. */
import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import { MTLS_STATUSES } from "../../model/topology/series.ts";
import type { SpanQuery, SpanSelection } from "../../store/store.ts";
import { CAPS, DEFAULT_LIMITS } from "../contract/common.ts";
import type { DifferencesAnswer, SpanDurationsAnswer, TraceSearchAnswer } from "../contract/traces.ts";
import {
	attributeFilters,
	durationParameter,
	edgeIdOf,
	limitOf,
	momentParameter,
	oneOf,
	type Parameters,
	single,
	timeRange,
	traceIdOf,
} from "../query.ts";
import { NO_HOPS, noTraceMessage, withSummary } from "../trace-answer.ts";
import { addRoute, ask, momentOf, type RouteContext, sendJson } from "./context.ts";

/** A client that reads slowly holds one slice more than its socket buffers. */
const SLICE_BYTES = 256 * 1024;

export function addTraceRoutes(scope: FastifyInstance, context: RouteContext): void {
	addRoute(scope, "traces", async ({ parameters, reply }) => {
		const limit = limitOf(parameters, DEFAULT_LIMITS.traces, CAPS.traces);
		const query = { ...spanQueryOf(parameters, context.now()), limit };
		const found = await ask(context, reply, (signal) => context.reader.searchTraces(query, signal));
		const answer: TraceSearchAnswer = { traces: found.traces, searched: found.searched };
		return sendJson(reply, answer);
	});

	addRoute(scope, "spanDurations", async ({ parameters, reply }) => {
		const columns = limitOf(parameters, DEFAULT_LIMITS.columns, CAPS.columns, "columns");
		const query = { ...spanQueryOf(parameters, context.now()), columns };
		const { fromMs, ...found } = await ask(context, reply, (signal) => context.reader.spanDurations(query, signal));
		const answer: SpanDurationsAnswer = { from: momentOf(fromMs), ...found };
		return sendJson(reply, answer);
	});

	addRoute(scope, "traceDifferences", async ({ parameters, reply }) => {
		const nowMs = context.now();
		const limit = limitOf(parameters, DEFAULT_LIMITS.differences, CAPS.differences);
		const query = { ...spanQueryOf(parameters, nowMs), selection: selectionOf(parameters, nowMs), limit };
		const found = await ask(context, reply, (signal) => context.reader.traceDifferences(query, signal));
		const answer: DifferencesAnswer = found;
		return sendJson(reply, answer);
	});

	addRoute(scope, "trace", async ({ path, request, reply }) => {
		const id = traceIdOf(path["traceId"] ?? "", "traceId");
		const protobufType = acceptedProtobuf(request.headers.accept);
		const format = protobufType === undefined ? "json" : "protobuf";
		const found = await ask(context, reply, (signal) => context.reader.trace(id, format, signal));
		const { trace, damagedWindows } = found;
		if (trace === undefined) throw new MeshscopeError("not_found", noTraceMessage(id, damagedWindows));
		const { summary, body, hops = NO_HOPS } = trace;
		reply.header("cache-control", "no-store").header("vary", "Accept");
		const parts = protobufType === undefined ? withSummary(body, summary, hops, damagedWindows) : body;
		const bytes = parts.reduce((sum, part) => sum + part.length, 0);
		context.budget.hold(bytes, reply);
		return reply
			.type(protobufType ?? "application/json; charset=utf-8")
			.header("content-length", bytes)
			.send(Readable.from(slices(parts), { objectMode: false }));
	});
}

function spanQueryOf(parameters: Parameters, nowMs: number): SpanQuery {
	const service = single(parameters, "service");
	const operation = single(parameters, "operation");
	const minDurationNs = durationParameter(parameters, "minDuration");
	const maxDurationNs = durationParameter(parameters, "maxDuration");
	const status = oneOf(parameters, "status", ["unset", "ok", "error"]);
	const mtls = oneOf(parameters, "mtls", MTLS_STATUSES);
	const edgeText = single(parameters, "edge");
	const edge = edgeText === undefined ? undefined : edgeIdOf(edgeText, "edge");
	const side = oneOf(parameters, "side", ["source", "destination"]);
	const root = oneOf(parameters, "root", ["true", "false"]);
	if (side !== undefined && edge === undefined) {
		throw new MeshscopeError("invalid_argument", "`side` is an end of an edge; say of which with `edge`", {
			details: { parameter: "side" },
		});
	}
	if (minDurationNs !== undefined && maxDurationNs !== undefined && minDurationNs > maxDurationNs) {
		throw new MeshscopeError("invalid_argument", "`minDuration` is longer than `maxDuration`", {
			details: { parameter: "minDuration" },
		});
	}
	return {
		...(service === undefined ? {} : { service }),
		...(operation === undefined ? {} : { operation }),
		...(minDurationNs === undefined ? {} : { minDurationNs }),
		...(maxDurationNs === undefined ? {} : { maxDurationNs }),
		...(status === undefined ? {} : { status }),
		...(mtls === undefined ? {} : { mtls }),
		...(edge === undefined ? {} : { edge }),
		...(side === undefined ? {} : { side }),
		...(root === undefined ? {} : { isRoot: root === "true" }),
		attributes: attributeFilters(parameters),
		...timeRange(parameters, nowMs, CAPS.searchRangeDays),
	};
}

function selectionOf(parameters: Parameters, nowMs: number): SpanSelection {
	const fromNs = momentParameter(parameters, "selectFrom", nowMs);
	const toNs = momentParameter(parameters, "selectTo", nowMs);
	const minDurationNs = durationParameter(parameters, "selectMinDuration");
	const maxDurationNs = durationParameter(parameters, "selectMaxDuration");
	const status = oneOf(parameters, "selectStatus", ["unset", "ok", "error"]);
	const selection = {
		...(fromNs === undefined ? {} : { fromNs }),
		...(toNs === undefined ? {} : { toNs }),
		...(minDurationNs === undefined ? {} : { minDurationNs }),
		...(maxDurationNs === undefined ? {} : { maxDurationNs }),
		...(status === undefined ? {} : { status }),
	};
	if (Object.keys(selection).length > 0) return selection;
	throw new MeshscopeError(
		"invalid_argument",
		"nothing is selected: say which spans are to be compared with the others by `selectFrom`, `selectTo`, `selectMinDuration`, `selectMaxDuration` or `selectStatus`",
		{ details: { parameter: "selectFrom" } },
	);
}

function* slices(parts: readonly Uint8Array[]): Generator<Uint8Array> {
	for (const part of parts) {
		for (let at = 0; at < part.length; at += SLICE_BYTES) yield part.subarray(at, at + SLICE_BYTES);
	}
}

/** The protobuf media type that `Accept` prefers to JSON, if it does. */
export function acceptedProtobuf(accept: string | undefined): string | undefined {
	let best: { readonly type: string; readonly quality: number } | undefined;
	for (const part of (accept ?? "").split(",")) {
		const [type = "", ...parameters] = part.split(";").map((each) => each.trim().toLowerCase());
		if (!["application/x-protobuf", "application/protobuf", "application/json"].includes(type)) continue;
		const quality = Number(parameters.find((each) => each.startsWith("q="))?.slice(2) ?? 1);
		if (quality > (best?.quality ?? 0)) best = { type, quality };
	}
	return best === undefined || best.type === "application/json" ? undefined : best.type;
}

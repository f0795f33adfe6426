/** Metric series and their points. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import { timeNs } from "../../model/time.ts";
import type { MetricSeriesQuery } from "../../store/store.ts";
import { aggregatePoints } from "../aggregate.ts";
import { CAPS, DEFAULT_LIMITS } from "../contract/common.ts";
import { type Aggregation, AGGREGATIONS, type MetricPointAnswer, type MetricSeriesAnswer } from "../contract/metrics.ts";
import { attributeFilters, limitOf, oneOf, type Parameters, single, stepOf, timeRange } from "../query.ts";
import { addRoute, ask, type RouteContext, sendJson } from "./context.ts";

export function addMetricRoutes(scope: FastifyInstance, context: RouteContext): void {
	addRoute(scope, "metricSeries", async ({ parameters, reply }) => {
		const query = seriesQueryOf(parameters);
		const found = await ask(context, reply, (signal) => context.reader.metricSeries(query, signal));
		const answer: MetricSeriesAnswer = { series: found.series, damagedWindows: found.damagedWindows };
		return sendJson(reply, answer);
	});

	addRoute(scope, "metricPoints", async ({ parameters, reply }) => {
		const selector = seriesQueryOf(parameters);
		const range = timeRange(parameters, context.now(), CAPS.metricRangeDays);
		const stepNs = stepOf(parameters, range);
		const aggregation = oneOf(parameters, "agg", AGGREGATIONS);
		if (aggregation !== undefined && stepNs === undefined) {
			throw new MeshscopeError("invalid_argument", "`agg` needs `step`, the length of its buckets", {
				details: { parameter: "agg" },
			});
		}
		const query = {
			...selector,
			fromNs: timeNs(readFrom(range.fromNs, stepNs, aggregation)),
			toNs: range.toNs,
			maxPoints: CAPS.points,
		};
		const found = await ask(context, reply, (signal) => context.reader.metricPoints(query, signal));
		const answer: MetricPointAnswer = {
			window: { fromUnixNano: range.fromNs.toString(), toUnixNano: range.toNs.toString() },
			...(stepNs === undefined ? {} : { stepNs: stepNs.toString() }),
			series: found.series.map(({ series, points }) =>
				stepNs === undefined
					? { series, points }
					: { series, ...aggregatePoints(series, points, { fromNs: range.fromNs, stepNs }, aggregation ?? "last") },
			),
			truncated: found.truncated,
			damagedWindows: found.damagedWindows,
		};
		return sendJson(reply, answer);
	});
}

/** The first bucket whole, though it begins before `from`; and for a rate the bucket before it, whose last point it grows from. */
function readFrom(fromNs: bigint, stepNs: bigint | undefined, aggregation: Aggregation | undefined): bigint {
	if (stepNs === undefined) return fromNs;
	const alignedNs = fromNs - (fromNs % stepNs);
	const earliestNs = aggregation === "rate" ? alignedNs - stepNs : alignedNs;
	return earliestNs < 0n ? 0n : earliestNs;
}

function seriesQueryOf(parameters: Parameters): MetricSeriesQuery {
	const name = single(parameters, "name");
	const service = single(parameters, "service");
	return {
		...(name === undefined ? {} : { name }),
		...(service === undefined ? {} : { service }),
		attributes: attributeFilters(parameters),
		limit: limitOf(parameters, DEFAULT_LIMITS.series, CAPS.series),
	};
}

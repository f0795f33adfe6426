/** Log search. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import type { LogQuery } from "../../store/store.ts";
import { CAPS, DEFAULT_LIMITS } from "../contract/common.ts";
import { type LogSearchAnswer, SEVERITY_NUMBERS } from "../contract/logs.ts";
import { attributeFilters, limitOf, type Parameters, single, timeRange, traceIdOf } from "../query.ts";
import { addRoute, ask, type RouteContext, sendJson } from "./context.ts";

export function addLogRoutes(scope: FastifyInstance, context: RouteContext): void {
	addRoute(scope, "logs", async ({ parameters, reply }) => {
		const query = logQueryOf(parameters, context.now());
		const found = await ask(context, reply, (signal) => context.reader.searchLogs(query, signal));
		const answer: LogSearchAnswer = { logs: found.logs, searched: found.searched };
		return sendJson(reply, answer);
	});
}

function logQueryOf(parameters: Parameters, nowMs: number): LogQuery {
	const traceId = single(parameters, "traceId");
	const service = single(parameters, "service");
	const minSeverity = severityOf(single(parameters, "severity"));
	const text = single(parameters, "text");
	return {
		...(traceId === undefined ? {} : { traceId: traceIdOf(traceId, "traceId") }),
		...(service === undefined ? {} : { service }),
		...(minSeverity === undefined ? {} : { minSeverity }),
		...(text === undefined ? {} : { text }),
		attributes: attributeFilters(parameters),
		...timeRange(parameters, nowMs, CAPS.searchRangeDays),
		limit: limitOf(parameters, DEFAULT_LIMITS.logs, CAPS.logs),
	};
}

function severityOf(text: string | undefined): number | undefined {
	if (text === undefined) return undefined;
	const named = Object.entries(SEVERITY_NUMBERS).find(([name]) => name === text.toLowerCase())?.[1];
	const number = named ?? (/^\d{1,2}$/.test(text) ? Number(text) : 0);
	if (number >= 1 && number <= 24) return number;
	const names = Object.keys(SEVERITY_NUMBERS).join(", ");
	const message = `\`severity\` is ${JSON.stringify(text.slice(0, 80))}; it takes ${names}, or a number from 1 to 24`;
	throw new MeshscopeError("invalid_argument", message, { details: { parameter: "severity" } });
}

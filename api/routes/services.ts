/** Services and their operations. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import { CAPS, DEFAULT_LIMITS } from "../contract/common.ts";
import type { OperationFiguresAnswer, OperationsAnswer, ServicesAnswer } from "../contract/services.ts";
import { limitOf, timeRange } from "../query.ts";
import { addRoute, ask, momentOf, type RouteContext, sendJson } from "./context.ts";

export function addServiceRoutes(scope: FastifyInstance, context: RouteContext): void {
	addRoute(scope, "services", async ({ reply }) => {
		const answer: ServicesAnswer = { services: await ask(context, reply, () => context.reader.services()) };
		return sendJson(reply, answer);
	});

	addRoute(scope, "operations", async ({ path, reply }) => {
		const name = path["name"] ?? "";
		const operations = await ask(context, reply, () => context.reader.operations(name));
		// A service that sent only logs or metrics is known, and has no operations.
		if (
			operations.length === 0 &&
			!(await ask(context, reply, () => context.reader.services())).some((service) => service.name === name)
		) {
			throw new MeshscopeError(
				"not_found",
				`no service ${JSON.stringify(name.slice(0, 100))}; /api/v1/services lists them`,
			);
		}
		const answer: OperationsAnswer = { operations };
		return sendJson(reply, answer);
	});

	addRoute(scope, "operationFigures", async ({ parameters, path, reply }) => {
		const range = timeRange(parameters, context.now(), CAPS.searchRangeDays);
		const limit = limitOf(parameters, DEFAULT_LIMITS.operations, CAPS.operations);
		const found = await ask(context, reply, (signal) =>
			context.reader.operationFigures({ service: path["name"] ?? "", ...range, limit }, signal),
		);
		const [fromMs, toMs] = [Number(range.fromNs) / 1e6, Number(range.toNs) / 1e6];
		const seconds = Math.max(1, (toMs - fromMs) / 1_000);
		const answer: OperationFiguresAnswer = {
			from: momentOf(fromMs),
			to: momentOf(toMs),
			operations: found.operations.map(({ lastSeenMs, ...figures }) => ({
				...figures,
				errorRatio: figures.errors / figures.spans,
				rate: figures.spans / seconds,
				lastSeen: momentOf(lastSeenMs),
			})),
			searched: found.searched,
		};
		return sendJson(reply, answer);
	});
}

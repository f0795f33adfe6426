/** Services and their operations. */
import type { FastifyInstance } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";
import type { OperationsAnswer, ServicesAnswer } from "../contract/services.ts";
import { addRoute, ask, type RouteContext, sendJson } from "./context.ts";

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
}

/** `meshscope edges`: the edges of the service graph as a table: rate, errors, latency, whether they are secured and who is at both ends. */
import type { DefineCommand } from "./command.ts";
import { type GraphFlags, showGraph, withGraphOptions } from "./graph-query.ts";
import { edgeLines } from "./terminal/graph-text.ts";

export const define: DefineCommand = (command, context, finish) => {
	withGraphOptions(command).addHelpText(
		"after",
		"\nAsks the running server. 0 % and 100 % are exact, never rounded.\n\nExample:\n  $ meshscope edges --from now-15m --group-by namespace\n",
	);
	command.action(async (flags: GraphFlags) => finish(await showGraph(flags, context, edgeLines)));
};

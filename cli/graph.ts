/** `meshscope graph`: the service graph of the running server: each node with what it calls. */
import type { DefineCommand } from "./command.ts";
import { type GraphFlags, showGraph, withGraphOptions } from "./graph-query.ts";
import { graphLines } from "./terminal/graph-text.ts";

export const define: DefineCommand = (command, context, finish) => {
	withGraphOptions(command).addHelpText(
		"after",
		"\nAsks the running server. 0 % and 100 % are exact, never rounded.\n\nExample:\n  $ meshscope graph --from now-15m --group-by namespace\n",
	);
	command.action(async (flags: GraphFlags) => finish(await showGraph(flags, context, graphLines)));
};

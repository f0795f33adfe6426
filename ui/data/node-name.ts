/** What an ID of a graph's node says, where the answer has no nodes: `kind:cluster/namespace/service@workload`. */

/** The service's name, as traces have it. */
export function serviceOfNode(id: string): string {
	return id
		.replace(/^[a-z]+:/, "")
		.replace(/^.*\//, "")
		.replace(/@.*$/, "");
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId, serviceEndpoint } from "../../model/topology/endpoint.ts";
import { serviceOfNode } from "./node-name.ts";

test("a node's service is read back from its ID, at every level of grouping", () => {
	const endpoint = serviceEndpoint("cart", "shop", "cart-v1", "east");
	assert.equal(serviceOfNode(nodeId(endpoint, "service")), "cart");
	assert.equal(serviceOfNode(nodeId(endpoint, "workload")), "cart");
	assert.equal(serviceOfNode(nodeId({ ...endpoint, kind: "external" }, "service")), "cart");
	assert.equal(serviceOfNode(nodeId(serviceEndpoint("gateway"), "service")), "gateway");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import type { ProxyConfig } from "../../model/mesh/proxy-config.ts";
import type { EndpointSource, PolicySource } from "../../proxy-shim/control/sources.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import { createLog } from "../serve/log.ts";
import { runPolicy } from "./policy-runner.ts";
import { loadProxySettings } from "./settings.ts";

test("no policy is in force before the services are known: a name of the mesh never passes for one of the outside", () => {
	const flags = { service: "shop/web", outbound: "127.0.0.1:15001", mesh: "mesh.yaml" };
	const { workload } = loadProxySettings({ flags, leftover: [], env: {} });
	const configs: ProxyConfig[] = [];
	const proxy: Pick<Proxy, "setConfig" | "setRegistry"> = {
		setConfig: (config) => configs.push(config),
		setRegistry: () => {},
	};
	const policy: PolicySource = {
		current: () => ({ version: "1", hash: "h", documents: [] }),
		onChange: () => () => {},
		report: () => {},
	};
	let services: readonly ServiceEndpoints[] = [];
	let isComplete = false;
	let tell = (_changed: readonly ServiceEndpoints[]): void => {};
	const endpoints: EndpointSource = {
		get isComplete() {
			return isComplete;
		},
		services: () => services,
		onChange(listener) {
			tell = listener;
			return () => {};
		},
	};
	const log = createLog("silent", process.stderr);
	const runner = runPolicy(proxy, workload, policy, endpoints, { event: () => {} }, log);
	assert.deepEqual([runner.isReady, configs.length], [false, 0]);
	services = [{ namespace: "shop", service: "orders", ports: [{ servicePort: 80, protocol: "http", endpoints: [] }] }];
	isComplete = true;
	tell(services);
	assert.equal(runner.isReady, true);
	assert.deepEqual(
		configs[0]?.virtualHosts.map(({ name }) => name),
		["orders.shop.svc.cluster.local"],
	);
	runner.close();
});

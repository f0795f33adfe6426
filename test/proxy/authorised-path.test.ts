/** What was authorised is what the app is asked: paths as the inbound side forwards them, in both tiers. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { ANY, config, inboundConfig, proxyFor, recordingSink, startApp, until, workload } from "./rig.ts";
import type { Cleanup } from "./rig.ts";

async function inboundOf(t: Cleanup, tier: "fast" | "correct") {
	const seen: string[] = [];
	const app = await startApp(t, (message, response) => {
		seen.push(message.url ?? "");
		response.end("ok");
	});
	const sink = recordingSink();
	const rule = {
		policy: "shop/no-admin",
		from: [],
		to: [
			{
				...{ hosts: [], notHosts: [], ports: [], notPorts: [], methods: [], notMethods: [], notPaths: [] },
				paths: ["/admin", "/admin/*"],
			},
		],
		when: [],
	};
	const proxy = await proxyFor(
		t,
		{ workload: workload("orders"), inbound: [{ listen: ANY, app, servicePort: 80, protocol: "http" }] },
		config({ inbound: inboundConfig({ authorization: { deny: [rule], allow: [], audit: [], hasAllowPolicy: false } }) }),
		sink,
		{ tier },
	);
	const { port } = proxy.addresses.inbound[0]!;
	return { seen, sink, ask: (target: string) => status(port, target) };
}

/** No client library: they all make paths normal themselves. */
async function status(port: number, target: string): Promise<number> {
	const socket = connect(port, "127.0.0.1");
	let answer = "";
	socket.on("error", () => {});
	socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
	socket.write(`GET ${target} HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n`);
	await until(() => (socket.closed ? true : undefined), `the answer to ${target}`, 20_000);
	return Number(answer.split(" ")[1]);
}

for (const tier of ["fast", "correct"] as const) {
	test(`the app is asked for the path that was authorised, with its query as it came (${tier})`, async (t) => {
		const { seen, ask } = await inboundOf(t, tier);
		for (const [target, forwarded] of [
			["/a/b?x=1&y=%2e%2E", "/a/b?x=1&y=%2e%2E"],
			["/a/../b?next=/../c", "/b?next=/../c"],
			["/%61/%2e%2e/c", "/c"],
			["/a\\b", "/a/b"],
			["/a//b", "/a//b"],
			["/a%2Fb", "/a%2Fb"],
			["/a/..;/b", "/b"],
			["/?", "/?"],
		] as const) {
			assert.equal(await ask(target), 200, target);
			assert.equal(seen.at(-1), forwarded, target);
		}
	});

	test(`no spelling of a path gets past a policy that denies it (${tier})`, async (t) => {
		const { seen, ask } = await inboundOf(t, tier);
		for (const target of ["/admin", "/x/../admin", "/%61dmin", "/x\\..\\admin", "/./admin/users", "/x/%2e%2e/admin?y"])
			assert.equal(await ask(target), 403, target);
		assert.deepEqual(seen, []);
	});

	test(`a path with %00 is answered 400, and the app sees nothing (${tier})`, async (t) => {
		const { seen, sink, ask } = await inboundOf(t, tier);
		assert.equal(await ask("/a%00b?c"), 400);
		assert.deepEqual(seen, []);
		const [hop] = await sink.hops("inbound", 1);
		assert.equal(hop!.status, 400);
		assert.equal(hop!.responseFlags, "DPE");
	});
}

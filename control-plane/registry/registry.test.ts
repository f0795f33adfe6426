import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeTimers } from "../../test/mesh/fake-timers.ts";
import { registration, workload } from "../../test/mesh/control-kit.ts";
import { debounce } from "./debounce.ts";
import { readHello } from "./registration.ts";
import { createRegistry } from "./registry.ts";
import type { Arrival, Registry } from "./registry.ts";

const CART = "spiffe://cluster.local/ns/shop/sa/cart";

function world(): { registry: Registry; told: string[]; timers: ReturnType<typeof fakeTimers> } {
	const timers = fakeTimers();
	const told: string[] = [];
	const registry = createRegistry({
		lostGraceMs: 30_000,
		returnGraceMs: 90_000,
		nowMs: timers.nowMs,
		onChange: (services) => void told.push(...services),
	});
	return { registry, told, timers };
}

function arrival(number: number, extra: Partial<Arrival> = {}): Arrival {
	const instanceId = `cart-${number}`;
	return {
		instanceId,
		principal: CART,
		workload: workload("cart", instanceId),
		registration: registration(15_000 + number),
		...extra,
	};
}

test("endpoints follow from instances: by port and protocol, with identity, labels and health, in a stable order", () => {
	const { registry, told } = world();
	registry.arrive(arrival(2));
	registry.arrive(arrival(1));
	registry.health("cart-2", false, "down");
	const { ports } = registry.endpoints("shop/cart");
	assert.deepEqual(
		ports.map(({ servicePort, protocol, endpoints }) => [
			servicePort,
			protocol,
			endpoints.map(({ id, port, healthy }) => [id, port, healthy]),
		]),
		[
			[
				80,
				"http",
				[
					["cart-1", 15_001, true],
					["cart-2", 15_002, false],
				],
			],
		],
	);
	assert.equal(ports[0]?.endpoints[0]?.principal, CART);
	assert.deepEqual(told, ["shop/cart", "shop/cart", "shop/cart"]);
});

test("a lost instance stays for the grace, healthy or not, and what has not changed is not told", () => {
	const { registry, told, timers } = world();
	registry.arrive(arrival(1));
	registry.lose("cart-1");
	timers.advance(29_999);
	registry.tick();
	assert.equal(registry.endpoints("shop/cart").ports.length, 1);
	registry.arrive(arrival(1));
	registry.health("cart-1", true, "");
	assert.deepEqual(told, ["shop/cart"]);
	timers.advance(60_000);
	registry.tick();
	assert.equal(registry.instances().length, 1);
	registry.lose("cart-1");
	timers.advance(30_000);
	registry.tick();
	assert.deepEqual(registry.instances(), []);
	assert.deepEqual(registry.services(), []);
	assert.deepEqual(registry.endpoints("shop/cart"), { namespace: "shop", service: "cart", ports: [] });
	assert.equal(told.length, 2);
});

test("a pure client and one that registers nothing have no endpoints; an instance may move between services", () => {
	const { registry } = world();
	registry.arrive(arrival(1, { registration: undefined }));
	registry.arrive(arrival(2, { workload: workload("cart", "cart-2", "") }));
	assert.deepEqual(registry.services(), []);
	assert.equal(registry.instances().length, 2);
	registry.arrive(arrival(1));
	assert.deepEqual(registry.services(), ["shop/cart"]);
	registry.arrive(arrival(1, { workload: workload("cart", "cart-1", "basket") }));
	assert.deepEqual(registry.services(), ["shop/basket"]);
});

test("an instance's ID belongs to the identity that came first, until it is forgotten", () => {
	const { registry, timers } = world();
	assert.equal(registry.arrive(arrival(1)), "known");
	const thief = arrival(1, { principal: "spiffe://cluster.local/ns/shop/sa/thief" });
	assert.equal(registry.arrive(thief), "taken");
	registry.lose("cart-1");
	assert.equal(registry.arrive(thief), "taken");
	timers.advance(30_000);
	registry.tick();
	assert.equal(registry.arrive(thief), "known");
});

test("what was known before a restart is lost until it comes back", () => {
	const { registry, timers } = world();
	registry.arrive(arrival(1));
	const again = createRegistry({
		...{ lostGraceMs: 30_000, returnGraceMs: 90_000, nowMs: timers.nowMs, known: registry.instances() },
		onChange: () => assert.fail("nothing has changed"),
	});
	assert.equal(again.endpoints("shop/cart").ports[0]?.endpoints.length, 1);
	assert.equal(again.instances()[0]?.forgetAtMs, timers.nowMs() + 90_000, "a proxy may be as long as that between two tries");
});

test("changes within the wait are told together, from the first one on", () => {
	const timers = fakeTimers();
	const told: string[][] = [];
	const { add, close } = debounce({ waitMs: () => 50, onDue: (keys) => void told.push([...keys]), setTimer: timers.setTimer });
	add(["a"]);
	timers.advance(30);
	add(["b", "a"]);
	timers.advance(19);
	assert.deepEqual(told, []);
	timers.advance(1);
	assert.deepEqual(told, [["a", "b"]]);
	add([]);
	timers.advance(100);
	add(["c"]);
	close();
	timers.advance(100);
	assert.deepEqual(told, [["a", "b"]]);
});

test("a hello is read field by field, and what is wrong is named", () => {
	const hello = (extra: object = {}, registered: unknown = registration()) => ({
		kind: "hello",
		instanceId: "cart-1",
		workload: workload("cart"),
		registration: registered,
		...extra,
	});
	const port = registration().ports[0]!;
	const ports = (change: object) => ({ ports: [{ ...port, ...change }] });
	assert.equal(readHello(hello({}, ports({ address: "0.0.0.0" })), "10.0.0.9").registration?.ports[0]?.address, "10.0.0.9");
	assert.equal(
		readHello(hello({}, { ports: [], hboneAddress: "[::]:15008" }), "fd00::9").registration?.hboneAddress,
		"[fd00::9]:15008",
	);
	const wrong: [object, RegExp][] = [
		[hello({ workload: { ...workload("cart"), labels: { a: 1 } } }), /workload\.labels must be text/],
		[
			hello({
				workload: {
					...workload("cart"),
					labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, ""])),
				},
			}),
			/more than 64/,
		],
		[hello({ workload: { ...workload("cart"), namespace: "x".repeat(254) } }), /workload\.namespace/],
		[hello({ token: 1 }), /hello\.token/],
		[hello({}, { ports: Array.from({ length: 65 }, () => port) }), /at most 64/],
		[hello({}, ports({ port: 0 })), /ports\[0\]\.port must be a port/],
		[hello({}, ports({ servicePort: 70_000 })), /servicePort must be a port/],
		[hello({}, ports({ address: "metadata.internal" })), /address must be a numeric address/],
		[hello({}, ports({ protocol: "http3" })), /protocol must be one of/],
		[hello({}, { ports: [], hboneAddress: "host:15008" }), /hboneAddress must be ADDRESS:PORT/],
		[hello({}, []), /registration must be an object/],
	];
	for (const [frame, reason] of wrong)
		assert.throws(() => readHello(frame as Parameters<typeof readHello>[0], "10.0.0.9"), reason);
});

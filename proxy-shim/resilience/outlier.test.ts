import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OutlierDetection } from "../../model/mesh/proxy-config.ts";
import { hostsOf } from "../../test/mechanisms/hosts.ts";
import type { ProxyEvent } from "../telemetry/hop.ts";
import type { AttemptOutcome, Host } from "../upstream/host.ts";
import { createOutlierDetector } from "./outlier.ts";

/** Envoy's defaults. */
const DEFAULTS: OutlierDetection = {
	consecutive5xx: 5,
	consecutiveGatewayErrors: 0,
	consecutiveLocalOriginFailures: 5,
	splitLocalOriginErrors: false,
	intervalMs: 10_000,
	baseEjectionTimeMs: 30_000,
	maxEjectionTimeMs: 300_000,
	maxEjectionPercent: 10,
	successRateMinimumHosts: 5,
	successRateRequestVolume: 100,
	successRateStdevFactor: 1.9,
	minHealthPercent: 0,
};

function answer(status: number, grpcStatus?: number): AttemptOutcome {
	return { kind: "response", status, grpcStatus };
}

function local(reason: (AttemptOutcome & { readonly kind: "local" })["reason"]): AttemptOutcome {
	return { kind: "local", reason };
}

function clusterOf(count: number, settings: Partial<OutlierDetection> = {}) {
	const events: ProxyEvent[] = [];
	const detector = createOutlierDetector(
		{ ...DEFAULTS, ...settings },
		{ clusterName: "c", onEvent: (event) => events.push(event) },
	);
	const hosts = hostsOf(count);
	detector.eligible(hosts, 0);
	return {
		detector,
		hosts,
		events,
		report(host: Host, outcome: AttemptOutcome, times = 1, nowMs = 0): void {
			for (let i = 0; i < times; i++) detector.report(host, outcome, nowMs);
		},
		ejected: () => hosts.filter((host) => host.ejectedUntilMs !== 0).length,
	};
}

test("five 5xx in a row eject a host, with one event", () => {
	const { hosts, report, detector, events } = clusterOf(10);
	report(hosts[3]!, answer(500), 4, 50);
	assert.equal(hosts[3]!.ejectedUntilMs, 0);
	report(hosts[3]!, answer(503), 1, 50);
	assert.equal(hosts[3]!.ejectedUntilMs, 30_050);
	assert.deepEqual(
		detector.eligible(hosts, 60),
		hosts.filter((_, index) => index !== 3),
	);
	assert.deepEqual(events, [{ kind: "ejected", cluster: "c", endpoint: hosts[3]!.endpoint.id, reason: "consecutive_5xx" }]);
});

test("an answer that is none resets the row", () => {
	const { hosts, report, ejected } = clusterOf(10);
	for (const good of [200, 302, 404, 429]) {
		report(hosts[0]!, answer(500), 4);
		report(hosts[0]!, answer(good));
	}
	assert.equal(ejected(), 0);
});

test("local-origin failures count as 5xx and as gateway errors", () => {
	for (const reason of ["connect_failure", "connect_timeout", "handshake", "refused_stream", "reset", "timeout"] as const) {
		const all = clusterOf(10);
		all.report(all.hosts[0]!, local(reason), 5);
		assert.equal(all.events.length, 1, reason);
		const gateway = clusterOf(10, { consecutiveGatewayErrors: 3 });
		gateway.report(gateway.hosts[0]!, local(reason), 3);
		assert.deepEqual(
			gateway.events.map((event) => "reason" in event && event.reason),
			["consecutive_gateway_failure"],
		);
	}
});

test("when split, local-origin failures have a row of their own that any answer ends", () => {
	const { hosts, report, events } = clusterOf(10, { splitLocalOriginErrors: true, consecutiveLocalOriginFailures: 3 });
	report(hosts[0]!, answer(500), 4);
	report(hosts[0]!, local("reset"), 2);
	report(hosts[0]!, answer(200));
	report(hosts[0]!, local("reset"), 2);
	assert.equal(events.length, 0);
	report(hosts[0]!, local("connect_failure"));
	assert.deepEqual(
		events.map((event) => "reason" in event && event.reason),
		["consecutive_local_origin_failure"],
	);
});

test("502, 503 and 504 are gateway errors; another 5xx ends their row", () => {
	const { hosts, report, ejected } = clusterOf(10, { consecutive5xx: 0, consecutiveGatewayErrors: 3 });
	report(hosts[0]!, answer(502), 2);
	report(hosts[0]!, answer(500));
	report(hosts[0]!, answer(504), 2);
	report(hosts[0]!, answer(501));
	assert.equal(ejected(), 0);
	for (const status of [502, 503, 504]) report(hosts[0]!, answer(status));
	assert.equal(ejected(), 1);
});

test("a gRPC status counts as the HTTP status it stands for", () => {
	// INTERNAL, UNAVAILABLE, UNKNOWN, DATA_LOSS, DEADLINE_EXCEEDED, UNIMPLEMENTED.
	for (const status of [13, 14, 2, 15, 4, 12]) {
		const { hosts, report, ejected } = clusterOf(10);
		report(hosts[0]!, answer(200, status), 5);
		assert.equal(ejected(), 1, `status ${status}`);
	}
	// OK, CANCELLED, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED.
	for (const status of [0, 1, 5, 7, 8]) {
		const { hosts, report, ejected } = clusterOf(10);
		report(hosts[0]!, answer(200, status), 50);
		assert.equal(ejected(), 0, `status ${status}`);
	}
});

test("at most the maximal share is ejected, but at least one host", () => {
	for (const [count, maxEjectionPercent, expected] of [
		[10, 10, 1],
		[19, 10, 1],
		[20, 10, 2],
		[3, 10, 1],
		[1, 10, 1],
		[4, 50, 2],
		[4, 100, 4],
		[4, 0, 0],
	] as const) {
		const { hosts, report, ejected } = clusterOf(count, { maxEjectionPercent });
		for (const host of hosts) report(host, answer(500), 20);
		assert.equal(ejected(), expected, `${maxEjectionPercent} % of ${count}`);
	}
});

test("a host that could not be ejected is, once another has returned and it fails as often again", () => {
	const { hosts, report, detector } = clusterOf(10);
	report(hosts[0]!, answer(500), 5);
	report(hosts[1]!, answer(500), 7);
	assert.equal(hosts[1]!.ejectedUntilMs, 0);
	detector.sweep(hosts, 30_000);
	report(hosts[1]!, answer(500), 2, 30_000);
	assert.equal(hosts[1]!.ejectedUntilMs, 0, "the row began anew when it was full");
	report(hosts[1]!, answer(500), 1, 30_000);
	assert.equal(hosts[1]!.ejectedUntilMs, 60_000);
});

test("a host returns with the first sweep after its time, and its rows begin anew", () => {
	const { hosts, report, detector, events } = clusterOf(10);
	report(hosts[0]!, answer(500), 5);
	report(hosts[0]!, answer(500), 4);
	detector.sweep(hosts, 29_999);
	assert.equal(detector.eligible(hosts, 30_001).length, 9, "not by the clock alone");
	detector.sweep(hosts, 30_000);
	assert.equal(detector.eligible(hosts, 30_000), hosts);
	report(hosts[0]!, answer(500), 4, 30_000);
	assert.equal(hosts[0]!.ejectedUntilMs, 0);
	assert.deepEqual(
		events.map((event) => event.kind),
		["ejected", "returned"],
	);
});

test("each ejection is longer by the base time, up to the maximum", () => {
	const { hosts, report, detector } = clusterOf(10);
	const host = hosts[0]!;
	let nowMs = 0;
	const lengths: number[] = [];
	for (let n = 0; n < 13; n++) {
		report(host, answer(500), 5, nowMs);
		lengths.push(host.ejectedUntilMs - nowMs);
		nowMs = host.ejectedUntilMs;
		detector.sweep(hosts, nowMs);
	}
	assert.deepEqual(
		lengths.map((length) => length / 30_000),
		[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10],
	);
});

test("a base time above the maximum is the maximum", () => {
	const { hosts, report } = clusterOf(10, { baseEjectionTimeMs: 600_000 });
	report(hosts[0]!, answer(500), 5);
	assert.equal(hosts[0]!.ejectedUntilMs, 600_000);
});

test("each healthy interval forgives one ejection", () => {
	const { hosts, report, detector } = clusterOf(10);
	const host = hosts[0]!;
	host.outlier.ejections = 4;
	// Three healthy intervals: of four ejections one is left.
	for (let nowMs = 10_000; nowMs <= 30_000; nowMs += 10_000) detector.sweep(hosts, nowMs);
	report(host, answer(500), 5, 30_000);
	assert.equal(host.ejectedUntilMs, 30_000 + 60_000);
	detector.sweep(hosts, 90_000);
	assert.equal(host.outlier.ejections, 2, "the sweep that lets it return forgives nothing");
	detector.sweep(hosts, 100_000);
	assert.equal(host.outlier.ejections, 1);
});

/** Envoy's own example: rates of 50, 100, 100, 100, 100 give mean 90, deviation 20, and with 1.9 a threshold of 52. */
test("a success rate below mean − factor × deviation ejects", () => {
	for (const [rate, expected] of [
		[50, 1],
		[49, 1],
		// 100s and one x: x < mean − 1.9 σ for every x < 100, as one of five is always 2 σ away.
		[99, 1],
		[100, 0],
	] as const) {
		const { hosts, detector, events, report } = clusterOf(5);
		for (const [index, host] of hosts.entries()) {
			const good = index === 0 ? rate : 100;
			for (let i = 0; i < 100; i++) report(host, answer(i < good ? 200 : 404));
			// 404 is a success; spread failures so that no row of five comes.
			host.outlier.successes = good;
		}
		detector.sweep(hosts, 10_000);
		assert.equal(events.length, expected, `rate ${rate}`);
		if (expected === 1) assert.equal(hosts[0]!.ejectedUntilMs, 40_000);
		assert.equal(hosts[0]!.outlier.ejections, expected, "the sweep that ejects forgives nothing");
	}
});

test("with a factor above what a single outlier can reach nothing is ejected", () => {
	const { hosts, detector, ejected } = clusterOf(5, { successRateStdevFactor: 2.1 });
	for (const [index, host] of hosts.entries()) {
		host.outlier.total = 100;
		host.outlier.successes = index === 0 ? 0 : 100;
	}
	detector.sweep(hosts, 10_000);
	assert.equal(ejected(), 0);
});

test("a host without requests has no success rate, whatever volume is asked", () => {
	const { hosts, detector, events } = clusterOf(6, { successRateRequestVolume: 0 });
	for (const [index, host] of hosts.slice(1).entries()) {
		host.outlier.total = 10;
		host.outlier.successes = index === 0 ? 1 : 10;
	}
	detector.sweep(hosts, 10_000);
	assert.deepEqual(
		events.map((event) => "endpoint" in event && event.endpoint),
		[hosts[1]!.endpoint.id],
	);
});

test("the success rate needs hosts enough with requests enough in one interval", () => {
	for (const [count, requests, expected] of [
		[5, 100, 1],
		[4, 100, 0],
		[5, 99, 0],
		[6, 100, 1],
	] as const) {
		const { hosts, detector, ejected } = clusterOf(count, { maxEjectionPercent: 100 });
		for (const [index, host] of hosts.entries()) {
			host.outlier.total = requests;
			host.outlier.successes = index === 0 ? 0 : requests;
		}
		detector.sweep(hosts, 10_000);
		assert.equal(ejected(), expected, `${count} hosts, ${requests} requests`);
	}
	const { hosts, detector, ejected, report } = clusterOf(5);
	for (const host of hosts) host.outlier.total = host.outlier.successes = 60;
	detector.sweep(hosts, 10_000);
	for (const host of hosts) report(host, answer(200), 60);
	hosts[0]!.outlier.successes = 0;
	detector.sweep(hosts, 20_000);
	assert.equal(ejected(), 0, "what was counted before the sweep is gone");
});

test("below the minimal health ejections are ignored, and count again above it", () => {
	const { hosts, detector, report } = clusterOf(4, { maxEjectionPercent: 100, minHealthPercent: 50 });
	report(hosts[0]!, answer(500), 5);
	report(hosts[1]!, answer(500), 5, 20_000);
	assert.equal(detector.eligible(hosts, 20_000).length, 2);
	report(hosts[2]!, answer(500), 5, 20_000);
	assert.equal(detector.eligible(hosts, 20_000), hosts);
	detector.sweep(hosts, 30_000);
	assert.deepEqual(detector.eligible(hosts, 30_000), [hosts[0], hosts[3]]);
});

test("all hosts may be ejected: then none is eligible", () => {
	const { hosts, detector, report } = clusterOf(2, { maxEjectionPercent: 100 });
	for (const host of hosts) report(host, answer(500), 5);
	assert.deepEqual(detector.eligible(hosts, 1), []);
});

test("the same array is eligible for as long as nothing changes", () => {
	const { hosts, detector, report } = clusterOf(10);
	assert.equal(detector.eligible(hosts, 1), hosts);
	report(hosts[0]!, answer(500), 5);
	const without = detector.eligible(hosts, 2);
	report(hosts[1]!, answer(200), 100);
	detector.sweep(hosts, 10_000);
	assert.equal(detector.eligible(hosts, 10_001), without);
	const more = [...hosts];
	assert.notEqual(detector.eligible(more, 10_002), without);
	assert.equal(detector.eligible(more, 10_002).length, 9, "who was ejected stays it across an update of the list");
});

test("a host that left is no longer among the ejected", () => {
	const { hosts, detector, report } = clusterOf(10);
	report(hosts[0]!, answer(500), 5);
	detector.eligible(hosts.slice(1), 1);
	report(hosts[1]!, answer(500), 5, 1);
	assert.notEqual(hosts[1]!.ejectedUntilMs, 0);
});

test("whatever is reported, no more than the maximal share and one is ejected, and eligible are the others", () => {
	const steps = fc.array(
		fc.record({
			host: fc.nat(19),
			status: fc.constantFrom(200, 500, 503),
			times: fc.integer({ min: 1, max: 9 }),
			waitMs: fc.nat(40_000),
		}),
		{ maxLength: 80 },
	);
	fc.assert(
		fc.property(
			fc.integer({ min: 1, max: 20 }),
			fc.integer({ min: 1, max: 100 }),
			steps,
			(count, maxEjectionPercent, all) => {
				const { hosts, detector, report, ejected } = clusterOf(count, { maxEjectionPercent });
				let nowMs = 0;
				for (const { host, status, times, waitMs } of all) {
					nowMs += waitMs;
					report(hosts[host % count]!, answer(status), times, nowMs);
					if (waitMs > 10_000) detector.sweep(hosts, nowMs);
					assert.ok(ejected() <= Math.max(1, Math.floor((maxEjectionPercent * count) / 100)));
					assert.equal(detector.eligible(hosts, nowMs).length, count - ejected());
				}
			},
		),
		{ numRuns: 100 },
	);
});

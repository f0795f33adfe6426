import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeProtobuf, metricsOf, spansOf } from "../../test/interop/otlp.ts";
import type { LogOutput } from "./access-log.ts";
import { type ExportOutcome, METRICS_EXPORT, TRACE_EXPORT } from "./otlp-client.ts";
import { createTelemetry, type TelemetryLogLine, type TelemetryOptions } from "./telemetry.ts";
import { answering, fakeClock, httpHop, tcpHop, trace, workload } from "./test-kit.ts";

const ACCEPTED: ExportOutcome = { kind: "accepted", rejected: 0, message: "" };

interface ToldPoints {
	readonly dataPoints: readonly { readonly asInt?: string }[];
}

function setUp(options: Partial<TelemetryOptions> = {}) {
	const clock = fakeClock();
	const sent: { readonly path: string; readonly bytes: Buffer }[] = [];
	const lines: TelemetryLogLine[] = [];
	const collector = { outcome: ACCEPTED as ExportOutcome, closed: false };
	const telemetry = createTelemetry({
		local: workload("shop"),
		version: "1",
		clock,
		random: () => 0,
		log: (line) => void lines.push(line),
		client: {
			send(path, message) {
				sent.push({ path, bytes: Buffer.from(message) });
				return Promise.resolve(collector.outcome);
			},
			close: () => void (collector.closed = true),
		},
		...options,
	});
	const spans = () =>
		sent
			.filter(({ path }) => path === TRACE_EXPORT)
			.flatMap(({ bytes }) => spansOf(decodeProtobuf("traces", bytes.subarray(5))));
	const requestsIn = ({ bytes }: { readonly bytes: Buffer }): unknown => {
		const metrics = metricsOf(decodeProtobuf("metrics", bytes.subarray(5)));
		const sum = metrics.find(({ name }) => name === "istio_requests_total")?.sum as ToldPoints | undefined;
		return sum?.dataPoints[0]?.asInt;
	};
	const pushes = () => sent.filter(({ path }) => path === METRICS_EXPORT).map(requestsIn);
	return { clock, sent, lines, collector, telemetry, spans, pushes };
}

test("only sampled traces make spans; metrics count all", async () => {
	const { clock, telemetry, spans, pushes } = setUp();
	telemetry.http(httpHop());
	telemetry.http(httpHop({ trace: trace({ sampled: false }) }));
	await clock.advance(200);
	assert.equal(spans().length, 1);
	await clock.advance(10_000);
	assert.deepEqual(pushes(), ["2"]);
});

test("metrics are pushed every 10 s; what was not taken is told by the next push, and nothing twice", async () => {
	const { clock, telemetry, pushes, collector } = setUp();
	telemetry.http(httpHop());
	collector.outcome = { kind: "retry", afterMs: undefined, reason: "away" };
	await clock.advance(10_000);
	assert.deepEqual([pushes(), telemetry.stats().metricPushFailures], [["1"], 1]);
	collector.outcome = ACCEPTED;
	telemetry.http(httpHop());
	await clock.advance(10_000);
	await clock.advance(10_000);
	assert.deepEqual(pushes(), ["1", "2", undefined], "what did not change is not told again");
	telemetry.http(httpHop());
	await clock.advance(10_000);
	assert.equal(pushes().at(-1), "3");
});

test("without a collector requests go on, drops are counted and told once a minute", async () => {
	const { clock, telemetry, lines, collector } = setUp({ maxQueueSpans: 600 });
	collector.outcome = { kind: "retry", afterMs: undefined, reason: "connect ECONNREFUSED" };
	for (let i = 0; i < 2_000; i++) telemetry.http(httpHop());
	await clock.advance(60_000);
	await clock.advance(60_000);
	const told = lines.filter(({ message }) => message === "spans were dropped");
	assert.equal(told.length, 1, "only what is new is told");
	assert.equal(told[0]!.level, "warn");
	assert.equal(told[0]!.fields["lastFailure"], "connect ECONNREFUSED");
	assert.equal(told[0]!.fields["queue_full"], telemetry.stats().spans!.dropped.queue_full);
	assert.ok(Number(told[0]!.fields["queue_full"]) > 900);
	assert.match(telemetry.prometheus(), /meshscope_spans_dropped_total\{reason="queue_full"\} \d{3,4}\n/);
	assert.match(telemetry.prometheus(), /istio_requests_total\{.*\} 2000\n/);
});

test("without an address nothing is sent, and everything else works", async () => {
	const clock = fakeClock();
	const telemetry = createTelemetry({ local: workload("shop"), version: "1", clock, log: () => undefined });
	telemetry.http(httpHop());
	await clock.advance(20_000);
	await telemetry.flush(100);
	assert.equal(telemetry.stats().spans, undefined);
	assert.match(telemetry.prometheus(), /istio_requests_total\{.*\} 1\n/);
	telemetry.close();
});

test("a flush sends spans and metrics of the last request, and gives up at its limit", async () => {
	const { clock, telemetry, spans, pushes, collector } = setUp();
	telemetry.http(httpHop());
	await telemetry.flush(1_000);
	assert.deepEqual([spans().length, pushes()], [1, ["1"]]);
	collector.outcome = { kind: "retry", afterMs: 60_000, reason: "away" };
	telemetry.http(httpHop());
	let ended = false;
	const flushed = telemetry.flush(1_000).then(() => (ended = true));
	await clock.advance(999);
	assert.equal(ended, false);
	await clock.advance(1);
	await flushed;
	telemetry.close();
	telemetry.close();
	assert.deepEqual([telemetry.stats().spans!.dropped.shutdown, collector.closed], [1, true]);
});

test("each event is counted and logged once, but failed handshakes cannot flood the log", async () => {
	const { clock, telemetry, lines } = setUp();
	telemetry.event({ kind: "ejected", cluster: "cart|80|", endpoint: "cart-1", reason: "consecutive_5xx" });
	telemetry.event({ kind: "returned", cluster: "cart|80|", endpoint: "cart-1", reason: "" });
	telemetry.event({ kind: "breaker", cluster: "cart|80|", from: "closed", to: "open" });
	telemetry.event({ kind: "config", version: "8", accepted: false, message: "no such host" });
	telemetry.event({ kind: "config", version: "9", accepted: true, message: "" });
	telemetry.event({ kind: "certificate", principal: "spiffe://a/ns/b/sa/c", notAfterMs: clock.epochMs() + 90_000 });
	assert.deepEqual(
		lines.map(({ level }) => level),
		["warn", "info", "warn", "warn", "info", "info"],
	);
	for (let i = 0; i < 500; i++)
		telemetry.event({ kind: "handshake_failed", direction: "inbound", peerAddress: "10.0.0.1", reason: "no certificate" });
	assert.equal(lines.length, 26);
	await clock.advance(60_000);
	assert.deepEqual(lines.at(-1)!.fields, { count: 480 });
	const text = telemetry.prometheus();
	for (const line of [
		'meshscope_ejections_total{cluster="cart|80|",reason="consecutive_5xx"} 1',
		'meshscope_breaker_transitions_total{cluster="cart|80|",from="closed",to="open"} 1',
		'meshscope_handshake_failures_total{direction="inbound"} 500',
		'meshscope_config_info{version="9"} 1',
		'meshscope_cert_expiry_seconds{principal="spiffe://a/ns/b/sa/c"} 30',
	])
		assert.ok(text.includes(`${line}\n`), line);
});

test("upstreams are counted by cluster and class, with retries, fallbacks, faults and verdicts", () => {
	const { telemetry } = setUp({ gauges: () => [{ name: "meshscope_active_requests", help: "h", labels: [], value: 4 }] });
	const upstreamCluster = "outbound|80||a";
	telemetry.http(httpHop({ upstreamCluster, retries: 2 }));
	telemetry.http(httpHop({ upstreamCluster, status: 503, fellBack: true, faultInjected: true }));
	telemetry.http(answering(httpHop(), { status: 403, authzDecision: "deny", authzPolicy: "demo/none" }));
	telemetry.tcpOpened("outbound");
	telemetry.tcpOpened("outbound");
	telemetry.tcp(tcpHop());
	const text = telemetry.prometheus();
	for (const line of [
		'meshscope_upstream_requests_total{cluster="outbound|80||a",response_class="2xx"} 1',
		'meshscope_upstream_requests_total{cluster="outbound|80||a",response_class="5xx"} 1',
		'meshscope_upstream_retries_total{cluster="outbound|80||a"} 2',
		'meshscope_fallbacks_total{cluster="outbound|80||a"} 1',
		'meshscope_faults_injected_total{cluster="outbound|80||a"} 1',
		'meshscope_authz_decisions_total{decision="deny",policy="demo/none"} 1',
		'meshscope_tcp_connections_active{direction="outbound"} 1',
		"meshscope_active_requests 4",
	])
		assert.ok(text.includes(`${line}\n`), line);
});

function output(): LogOutput & { text: string; writableLength: number } {
	return {
		text: "",
		writableLength: 0,
		write(text) {
			this.text += text;
			return true;
		},
	};
}

test("the access log is a JSON object a line, whatever a client sends, without secrets", async () => {
	const accessLog = output();
	const { clock, telemetry } = setUp({ accessLog });
	const nasty = 'x"\n{"status":200}\r\u2028';
	telemetry.http(httpHop({ userAgent: nasty, authority: nasty, path: `/p?token=abc&q=${nasty}`, requestId: nasty }));
	telemetry.tcp(tcpHop());
	assert.equal(accessLog.text, "", "it is written in pieces");
	await clock.advance(200);
	const lines = accessLog.text.split("\n");
	assert.deepEqual([lines.length, lines.at(-1)], [3, ""]);
	const [http, tcp] = lines.slice(0, 2).map((line) => JSON.parse(line) as Record<string, unknown>);
	assert.deepEqual([http!["user_agent"], http!["path"]], [nasty, `/p?token=REDACTED&q=${nasty}`]);
	assert.deepEqual([http!["mtls"], http!["status"], http!["duration_ms"]], ["mutual_tls", 200, 1.235]);
	assert.deepEqual([tcp!["protocol"], tcp!["bytes_sent"], tcp!["closed_by"]], ["TCP", 100, "downstream"]);
});

test("a reader of the log that is too slow costs lines, which are counted", async () => {
	const accessLog = output();
	const { clock, telemetry } = setUp({ accessLog });
	accessLog.writableLength = 64 << 20;
	telemetry.http(httpHop());
	await clock.advance(200);
	assert.equal(accessLog.text, "");
	assert.equal(telemetry.stats().accessLogDropped, 1);
	accessLog.writableLength = 0;
	telemetry.http(httpHop());
	telemetry.close();
	assert.equal(accessLog.text.split("\n").length, 2, "closing writes what waits");
});

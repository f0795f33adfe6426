import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshscopeError } from "../../model/errors.ts";
import { MAX_TIME_NS } from "../../model/time.ts";
import { SQL_TABLES } from "../../store/sql-tables.ts";
import { cannedSeries } from "../../model/topology/canned-series.ts";
import { endpointBook } from "../../model/topology/endpoint-book.ts";
import { type GraphEdge, resolveGraph } from "../../model/topology/graph.ts";
import type { EdgeStatement, LogEntry, MetricPoint, MetricSeries, ScanQuery, SpanRow, StoreScanner } from "../../store/store.ts";
import { resultLines } from "./output.ts";
import type { OutputFormat } from "./output.ts";
import { openSqlSession } from "./session.ts";

const NOW_MS = 1_767_225_600_000;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;

const SPANS: readonly SpanRow[] = Array.from({ length: 6 }, (_, i) => ({
	traceId: "0af7651916cd43dd8448eb211c80319c",
	spanId: `000000000000000${i}`,
	parentSpanId: i === 0 ? "" : "0000000000000000",
	service: i % 2 === 0 ? "cart" : "frontend",
	name: `op ${i}`,
	kind: 2,
	statusCode: i === 5 ? 2 : 0,
	startNs: NOW_NS + BigInt(i),
	durationNs: 9_007_199_254_740_993n + BigInt(i),
	attributes: {
		"http.status_code": 200 + i,
		'user\'s "id"': "x",
		big: "9223372036854775807",
		ok: i === 0,
		list: [1, "a"],
		none: undefined,
	},
	resource: { "service.name": "cart" },
}));

const LOG: LogEntry = {
	timeUnixNano: "18446744073709551615",
	observedTimeUnixNano: "1767225600000000001",
	service: "cart",
	severityNumber: 17,
	severityText: "ERROR",
	traceId: "",
	spanId: "",
	body: { deep: [1] },
	attributes: {},
	resource: {},
	scope: "",
};

const SERIES: MetricSeries = {
	id: "7",
	name: "requests",
	description: "",
	unit: "1",
	type: "sum",
	temporality: "cumulative",
	monotonic: true,
	service: "cart",
	attributes: { route: "/" },
	resource: {},
	lastTimeUnixNano: "0",
};
const POINT: MetricPoint = { timeUnixNano: "1767225600000000000", startTimeUnixNano: "0", value: "9007199254740993", flags: 0 };

const EDGES = resolveGraph({
	series: cannedSeries(
		{
			from: "web",
			to: "shop/cart",
			mtls: "mutual_tls",
			count: 3,
			sourceNs: [1e6, 2e6, 3e6],
			principals: ["spiffe://w", "spiffe://c"],
		},
		{ from: "web", to: "shop/cart", mtls: "plaintext", count: 1, outcome: "server_error" },
		{ from: "cart", to: "db", protocol: "tcp", count: 2 },
	),
	groupBy: "service",
	book: endpointBook([], new Map()),
	certificates: [],
	seconds: 60,
}).edges;
const STATEMENT: Omit<EdgeStatement, "edge"> = {
	series: 7,
	evidence: "pair",
	reporter: "both",
	sampled: false,
	source: { told: "web", taken: "web" },
	target: { told: "cart", taken: "shop/cart" },
	mtls: {
		status: "plaintext",
		source: "plaintext",
		destination: "unknown",
		sourcePrincipal: "",
		destinationPrincipal: "",
		tlsVersion: "",
		cipher: "",
		verifiedBy: "client",
	},
	outcome: "ok",
	destinationOutcome: undefined,
	observed: 2,
	count: 2.5,
	attempts: 2,
	failedHandshakes: 0,
	bytes: { sent: 0, received: 0 },
	codes: {},
	flags: {},
	sourceP95Ms: undefined,
	destinationP95Ms: undefined,
	firstSeenMs: NOW_MS,
	lastSeenMs: undefined,
};

class FakeScanner implements StoreScanner {
	readonly queries: ScanQuery[] = [];
	spansRead = 0;
	*scanSpans(query: ScanQuery): Iterable<SpanRow> {
		this.queries.push(query);
		for (const span of SPANS) {
			if (query.service !== undefined && span.service !== query.service) continue;
			this.spansRead++;
			yield span;
		}
	}
	*scanLogs(query: ScanQuery): Iterable<LogEntry> {
		this.queries.push(query);
		yield LOG;
	}
	*scanMetricPoints(query: ScanQuery): Iterable<{ series: MetricSeries; point: MetricPoint }> {
		this.queries.push(query);
		yield { series: SERIES, point: POINT };
	}
	*scanEdges(query: ScanQuery): Iterable<GraphEdge> {
		this.queries.push(query);
		yield* EDGES;
	}
	*scanEdgeStatements(query: ScanQuery): Iterable<EdgeStatement> {
		this.queries.push(query);
		for (const edge of EDGES) yield { ...STATEMENT, edge };
	}
	verify(): never {
		throw new Error("not asked for here");
	}
	close(): void {}
}

function ask(statement: string, scanner = new FakeScanner()): readonly (readonly unknown[])[] {
	const session = openSqlSession(scanner, () => NOW_MS);
	try {
		return [...session.query(statement).rows].map((row) => [...row]);
	} finally {
		session.close();
	}
}

function print(statement: string, format: OutputFormat): string {
	const session = openSqlSession(new FakeScanner(), () => NOW_MS);
	const text = [...resultLines(session.query(statement), format)].join("");
	session.close();
	return text;
}

test("time and service arguments reach the scan, in parentheses and in WHERE alike", () => {
	const wanted = { fromNs: NOW_NS - 3_600_000_000_000n, toNs: NOW_NS, service: "cart" };
	for (const from of [
		"spans('now-1h', 'now', 'cart')",
		"spans WHERE from_time = 'now-1h' AND to_time = 'now' AND in_service = 'cart'",
		`spans('2025-12-31T23:00:00Z', ${NOW_MS}, 'cart')`,
		"span_attributes('now-1h', 'now', 'cart')",
		"logs('now-1h', 'now', 'cart')",
		"metric_points('now-1h', 'now', 'cart')",
		"edges('now-1h', 'now', 'cart')",
		"mtls WHERE from_time = 'now-1h' AND to_time = 'now' AND in_service = 'cart'",
	]) {
		const scanner = new FakeScanner();
		ask(`SELECT count(*) FROM ${from}`, scanner);
		assert.deepEqual(scanner.queries, [wanted], from);
	}
});

test("without arguments everything is scanned", () => {
	const scanner = new FakeScanner();
	assert.deepEqual(ask("SELECT count(*) FROM spans", scanner), [[6n]]);
	assert.deepEqual(scanner.queries, [{ fromNs: 0n, toNs: MAX_TIME_NS }]);
});

test("IN over services scans once for each", () => {
	const scanner = new FakeScanner();
	assert.deepEqual(ask("SELECT count(*) FROM spans WHERE in_service IN ('cart', 'frontend', 'absent')", scanner), [[6n]]);
	assert.deepEqual(scanner.queries.map((query) => query.service).toSorted(), ["absent", "cart", "frontend"]);
});

test("edges have their figures in columns, whole counts as integers", () => {
	assert.deepEqual(
		ask(`SELECT source, target, unit, requests, connections, errors, error_ratio, mtls, mtls_percent, round(p50_ms), sampled
			FROM edges ORDER BY source DESC`),
		[
			["web", "shop/cart", "requests", 4n, 0n, 1n, 0.25, "mixed", 75, 2, 0n],
			["cart", "db", "connections", 0n, 2n, 0n, 0, "unknown", null, null, 0n],
		],
	);
	assert.deepEqual(
		ask("SELECT source_principals ->> 0, evidence ->> 'pair', edge_id = lower(edge_id) FROM edges WHERE source = 'web'"),
		[["spiffe://w", 4n, 1n]],
	);
});

test("every statement about an edge is a row of mtls, joined by the edge's id", () => {
	assert.deepEqual(
		ask(`SELECT m.source, m.status, m.target_status, m.count, m.source_principal, m.verified_by, m.first_seen, m.last_seen, e.requests
			FROM mtls m JOIN edges e USING (edge_id) WHERE m.protocol = 'http'`),
		[["web", "plaintext", "unknown", 2.5, null, "client", "2026-01-01T00:00:00.000Z", null, 4n]],
	);
});

test("LIMIT ends the scan", () => {
	const scanner = new FakeScanner();
	ask("SELECT name FROM spans LIMIT 2", scanner);
	assert.ok(scanner.spansRead <= 3, String(scanner.spansRead));
});

test("64-bit integers stay integers, and unsigned ones beyond them stop at the edge", () => {
	assert.deepEqual(ask("SELECT duration_ns, typeof(duration_ns) FROM spans LIMIT 1"), [[9_007_199_254_740_993n, "integer"]]);
	assert.deepEqual(ask("SELECT time_ns, time, trace_id, body ->> '$.deep[0]' FROM logs"), [
		[MAX_TIME_NS, "2554-07-21T23:34:33.709551615Z", null, 1n],
	]);
	assert.deepEqual(ask("SELECT value, typeof(value), monotonic, count FROM metric_points"), [
		[9_007_199_254_740_993n, "integer", 1n, null],
	]);
});

test("attributes are asked for by key, also with dots and quotes, and have their types", () => {
	assert.deepEqual(ask("SELECT attributes ->> 'http.status_code' FROM spans WHERE attributes ->> 'http.status_code' > 204"), [
		[205n],
	]);
	assert.deepEqual(ask("SELECT value, typeof(value) FROM span_attributes WHERE key = 'http.status_code' LIMIT 1"), [
		[200n, "integer"],
	]);
	assert.deepEqual(ask("SELECT value FROM span_attributes WHERE key IN ('ok', 'list', 'none') LIMIT 3"), [
		[1n],
		['[1,"a"]'],
		[null],
	]);
	assert.deepEqual(ask("SELECT count(*) FROM span_attributes WHERE source = 'resource' AND value = 'cart'"), [[6n]]);
	assert.deepEqual(ask("SELECT kind, status, start_time FROM spans WHERE status = 'error'"), [
		["server", "error", "2026-01-01T00:00:00.000000005Z"],
	]);
});

test("what would write, attach or load is refused", () => {
	for (const statement of [
		"CREATE TABLE a (b)",
		"INSERT INTO spans (name) VALUES ('x')",
		"DELETE FROM spans",
		"WITH a AS (SELECT 1) DELETE FROM sqlite_schema",
		"ATTACH '/etc/passwd' AS x",
		"-- a comment\n ATTACH ':memory:' AS x",
		"/* x */ PRAGMA writable_schema = ON",
		"PRAGMA user_version",
		"VACUUM INTO 'copy.db'",
		"BEGIN",
		"SELECT load_extension('x.so')",
		"SELECT 1; DROP TABLE spans",
		"EXPLAIN DELETE FROM sqlite_schema",
		"",
		";",
	]) {
		assert.throws(
			() => ask(statement),
			(error) => error instanceof MeshscopeError && error.code === "invalid_argument",
			statement,
		);
	}
});

test("faults in a statement come with SQLite's words, faults in a time with ours", () => {
	assert.throws(() => ask("SELECT nam FROM spans"), /no such column: nam/);
	assert.throws(() => ask("SELECT * FROM spans('yesterday')"), /from_time is "yesterday"; write a time like now-1h/);
	assert.throws(() => ask("SELECT * FROM spans WHERE from_time > 'now'"), /can only be constrained by the '=' operator/);
});

test("joins scan each side with its own arguments", () => {
	const rows = ask(
		"SELECT p.name, c.name FROM spans c JOIN spans p ON p.span_id = c.parent_span_id WHERE c.in_service = 'frontend' ORDER BY c.name",
	);
	assert.deepEqual(rows, [
		["op 0", "op 1"],
		["op 0", "op 3"],
		["op 0", "op 5"],
	]);
});

test("every documented column can be selected, and no other exists", () => {
	for (const table of SQL_TABLES) {
		const session = openSqlSession(new FakeScanner(), () => NOW_MS);
		assert.deepEqual(
			session.query(`SELECT * FROM ${table.name}`).columns,
			table.columns.map((column) => column.name),
			table.name,
		);
		session.close();
	}
});

test("output keeps integers whole, quotes CSV, and aligns tables", () => {
	assert.equal(
		print("SELECT duration_ns, name, NULL AS n, 1.5 AS r FROM spans LIMIT 1", "json"),
		'{"duration_ns":9007199254740993,"name":"op 0","n":null,"r":1.5}\n',
	);
	assert.equal(print("SELECT 'a,\"b\"' AS x, NULL AS y, 'l\nm' AS z", "csv"), 'x,y,z\r\n"a,""b""",,"l\nm"\r\n');
	assert.equal(
		print("SELECT name, duration_ns % 100 AS d FROM spans LIMIT 2", "table"),
		"name   d\n────  ──\nop 0  93\nop 1  94\n",
	);
	assert.equal(print("SELECT 'a\u001b[31m' AS x WHERE 0", "table"), "x\n─\n");
	assert.match(print("SELECT char(27) || '[31m' AS x", "table"), /\\x1b\[31m/);
	const long = print("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) SELECT i FROM n", "table");
	assert.equal(long.trimEnd().split("\n").length, 1202);
});

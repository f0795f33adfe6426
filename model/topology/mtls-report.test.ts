import assert from "node:assert/strict";
import { test } from "node:test";
import { cannedSeries, type CannedSeries, endpointNamed, graphOf, WINDOW_START_MS } from "./canned-series.ts";
import { endpointBook } from "./endpoint-book.ts";
import { mtlsReport, type MtlsReport } from "./mtls-report.ts";
import type { CertificateSighting } from "./series.ts";

function reportOf(all: readonly CannedSeries[], certificates: readonly CertificateSighting[] = []): MtlsReport {
	const series = cannedSeries(...all);
	return mtlsReport({ graph: graphOf(series), series, certificates, groupBy: "service", book: endpointBook([], new Map()) });
}

const mutual: CannedSeries = { mtls: "mutual_tls", verifiedBy: "server", count: 90, principals: ["spiffe://a", "spiffe://b"] };

test("coverage is told over requests, over connections and over edges, never over their sum", () => {
	const report = reportOf([
		mutual,
		{ to: "c", mtls: "plaintext", count: 10 },
		{ to: "d", protocol: "tcp", mtls: "plaintext", count: 1_000 },
		{ to: "e", count: 7 },
	]);
	assert.deepEqual([report.requests.percent, report.requests.counts.unknown], [90, 7]);
	assert.deepEqual([report.connections.percent, report.connections.counts.plaintext], [0, 1_000]);
	assert.deepEqual([report.edges.counts.plaintext, report.edges.counts.unknown], [2, 1]);
	assert.equal(report.edges.percent, 100 / 3);
});

test("an unprotected edge was seen when its unprotected requests were, not when the others were", () => {
	const report = reportOf([
		{ ...mutual, seen: [1, 59] },
		{ mtls: "plaintext", verifiedBy: "server", count: 2, seen: [20, 30] },
		{ to: "c", mtls: "none", count: 5, seen: [5, 6] },
	]);
	const [mixed] = report.mixed;
	assert.deepEqual(
		[mixed?.status, mixed?.counts.plaintext, mixed?.firstSeenMs, mixed?.lastSeenMs, mixed?.series],
		["mixed", 2, WINDOW_START_MS + 20_000, WINDOW_START_MS + 30_000, [2]],
	);
	assert.deepEqual(
		report.plaintext.map(({ target, status, series }) => [target, status, series]),
		[["c", "none", [3]]],
	);
});

test("identities are told by service, with the best word for them", () => {
	const { identities } = reportOf([
		mutual,
		{ ...mutual, verifiedBy: "header", from: "b", to: "c", principals: ["spiffe://b", "spiffe://c"] },
	]);
	assert.deepEqual(
		identities.map(({ service, principal, verifiedBy, asSource, asDestination }) => [
			service,
			principal,
			verifiedBy,
			asSource,
			asDestination,
		]),
		[
			["a", "spiffe://a", "server", true, false],
			["b", "spiffe://b", "server", true, true],
			["c", "spiffe://c", "header", false, true],
		],
	);
});

test("certificates in use are told by expiry, with everybody who shows them", () => {
	const sighting = (from: string, to: string, side: "source" | "destination", notAfterMs: number, seenMs: number) =>
		({
			...{ principal: "spiffe://shared", issuer: "CN=ca", side, notAfterMs, seenMs },
			source: endpointNamed(from),
			target: endpointNamed(to),
		}) satisfies CertificateSighting;
	const { certificates } = reportOf(
		[mutual],
		[
			sighting("a", "b", "source", 200, 1_000_000),
			sighting("c", "a", "destination", 200, 1_000_001),
			sighting("a", "b", "source", 100, 999_999),
			sighting("a", "b", "source", 50, 0),
		],
	);
	assert.deepEqual(
		certificates.map(({ notAfterMs, services, lastSeenMs }) => [notAfterMs, services, lastSeenMs]),
		[
			[100, ["a"], 999_999],
			[200, ["a"], 1_000_001],
		],
	);
});

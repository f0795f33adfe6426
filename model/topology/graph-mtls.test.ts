import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cannedSeries, type CannedSeries, edgeOf, endpointNamed, graphOf, WINDOW_START_MS } from "./canned-series.ts";
import { formatPercent, mtlsPercent, noMtlsCounts, overallStatus } from "./mtls-status.ts";
import type { CertificateSighting, MtlsStatus } from "./series.ts";

const metric = (mtls: MtlsStatus, count: number, more: CannedSeries = {}): CannedSeries => ({
	evidence: "metric",
	reporter: "destination",
	mtls,
	verifiedBy: mtls === "mutual_tls" ? "metric" : "",
	count,
	...more,
});

test("series of none=90, mtls=5, none=1, mtls=10 are 14.15 %: counts are added up, never overwritten", () => {
	const { mtls } = edgeOf(metric("none", 90), metric("mutual_tls", 5), metric("none", 1), metric("mutual_tls", 10));
	assert.deepEqual([mtls.counts.none, mtls.counts.mutual_tls], [91, 15]);
	assert.equal(formatPercent(mtls.percent!), "14.15 %");
	assert.equal(mtls.status, "mixed");
});

test("all plaintext is plaintext, not no data", () => {
	const { mtls } = edgeOf({ mtls: "plaintext", verifiedBy: "server", count: 1_000 });
	assert.deepEqual([mtls.status, mtls.percent, mtls.counts.plaintext], ["plaintext", 0, 1_000]);
	assert.equal(formatPercent(mtls.percent!), "0 %");
});

test("0.4 % plaintext does not read 100 %", () => {
	const { mtls } = edgeOf(metric("mutual_tls", 996), metric("plaintext", 4));
	assert.deepEqual([mtls.status, formatPercent(mtls.percent!)], ["mixed", "99.6 %"]);
});

test("HTTP with mTLS beside TCP in plaintext on one pair: two edges, each with its own status", () => {
	const { edges } = graphOf(
		cannedSeries(
			metric("mutual_tls", 100),
			metric("plaintext", 7, { protocol: "tcp", evidence: "log", verifiedBy: "server" }),
		),
	);
	assert.deepEqual(
		edges.map(({ protocol, mtls }) => [protocol, mtls.status, mtls.percent]),
		[
			["http", "mutual_tls", 100],
			["tcp", "plaintext", 0],
		],
	);
});

test("the source's unknown is no evidence, and mixes with nothing", () => {
	const source = metric("unknown", 1_000, { reporter: "source" });
	const both = edgeOf(source, metric("mutual_tls", 1_000)).mtls;
	assert.deepEqual([both.status, both.percent, both.counts.unknown], ["mutual_tls", 100, 0]);
	const alone = edgeOf(source).mtls;
	assert.deepEqual([alone.status, alone.percent, alone.counts.unknown], ["unknown", undefined, 1_000]);
	const partly = edgeOf(metric("unknown", 400), metric("mutual_tls", 600)).mtls;
	assert.deepEqual([partly.status, partly.percent, partly.counts.unknown], ["mutual_tls", 100, 400]);
});

test("the server's word comes before the client's before a metric's before a header's", () => {
	const voices: readonly CannedSeries[] = [
		{ evidence: "log", reporter: "destination", mtls: "plaintext", verifiedBy: "server", count: 100 },
		{ evidence: "log", reporter: "source", mtls: "tls", verifiedBy: "client", count: 100 },
		metric("mutual_tls", 100),
		{ mtls: "mutual_tls", verifiedBy: "header", count: 100 },
	];
	for (const [i, expected] of ["plaintext", "tls", "mutual_tls", "mutual_tls"].entries())
		assert.equal(edgeOf(...voices.slice(i)).mtls.status, expected);
	assert.equal(edgeOf(...voices.slice(3)).mtls.verified, false);
});

test("a sample that saw only mTLS does not hide the plaintext that a full count has", () => {
	const spans: CannedSeries = { mtls: "mutual_tls", verifiedBy: "server", count: 10, sampled: true };
	const { mtls } = edgeOf(spans, metric("mutual_tls", 996), metric("plaintext", 4));
	assert.deepEqual([mtls.status, mtls.counts.plaintext, formatPercent(mtls.percent!)], ["mixed", 4, "99.6 %"]);
});

test("plaintext that the server saw in a sample contradicts a metric that says mTLS throughout", () => {
	const spans: CannedSeries = { mtls: "plaintext", verifiedBy: "server", count: 3, sampled: true };
	const { mtls } = edgeOf(spans, metric("mutual_tls", 1_000));
	assert.deepEqual([mtls.status, mtls.contradicted, mtls.percent], ["mixed", true, 100]);
});

test("`none` beside plaintext is still not mTLS, and not mixed", () => {
	assert.equal(overallStatus(new Set<MtlsStatus>(["none", "plaintext", "unknown"])), "none");
	assert.equal(overallStatus(new Set<MtlsStatus>(["none", "mutual_tls"])), "mixed");
	assert.equal(overallStatus(new Set<MtlsStatus>(["plaintext", "tls"])), "mixed");
	assert.equal(overallStatus(new Set<MtlsStatus>(["unknown"])), "unknown");
});

test("ends that disagree are mixed", () => {
	const { mtls } = edgeOf(
		{ mtls: "mixed", verifiedBy: "server", count: 2 },
		{ mtls: "mutual_tls", verifiedBy: "server", count: 98 },
	);
	assert.deepEqual([mtls.status, mtls.percent, mtls.counts.mixed], ["mixed", 98, 2]);
});

test("requests of which the knowing voice says nothing are unknown, not mTLS", () => {
	const spans: CannedSeries = { mtls: "mutual_tls", verifiedBy: "server", count: 10, sampled: true };
	const { mtls } = edgeOf(spans, metric("unknown", 1_000, { reporter: "source" }));
	assert.deepEqual([mtls.status, mtls.counts.mutual_tls, mtls.counts.unknown], ["mutual_tls", 10, 990]);
	assert.deepEqual([mtls.verified, mtls.verifiedBy], [true, "server"]);
});

test("identities are sets, and a header names one only where nothing better does", () => {
	const { mtls } = edgeOf(
		metric("mutual_tls", 5, { principals: ["spiffe://a/1", "spiffe://b"] }),
		metric("mutual_tls", 5, { principals: ["spiffe://a/2", "spiffe://b"] }),
		{
			mtls: "mutual_tls",
			verifiedBy: "header",
			principals: ["spiffe://spoofed", ""],
			tls: { tlsVersion: "1.3", cipher: "AES" },
		},
	);
	assert.deepEqual(mtls.sourcePrincipals, ["spiffe://a/1", "spiffe://a/2"]);
	assert.deepEqual([mtls.destinationPrincipals, mtls.tlsVersions, mtls.ciphers], [["spiffe://b"], ["1.3"], ["AES"]]);
});

test("mTLS is verified only when all that is counted as mTLS is", () => {
	const server: CannedSeries = { mtls: "mutual_tls", verifiedBy: "server", count: 5 };
	assert.equal(edgeOf(server).mtls.verified, true);
	assert.equal(edgeOf(server, { ...server, verifiedBy: "header" }).mtls.verified, false);
});

test("the certificate that expires first is told, of those still in use", () => {
	const sighting = (principal: string, notAfterMs: number, seen: number): CertificateSighting => ({
		principal,
		notAfterMs,
		issuer: "",
		seenMs: WINDOW_START_MS + seen,
		source: endpointNamed("a"),
		target: endpointNamed("b"),
		side: "destination",
	});
	const series = cannedSeries(metric("mutual_tls", 5), metric("plaintext", 5, { protocol: "tcp" }));
	const certificates = [sighting("b", 100, 0), sighting("b", 300, 3_600_000), sighting("b", 200, 3_500_000)];
	const { edges } = graphOf(series, { certificates });
	assert.deepEqual(
		edges.map(({ mtls }) => mtls.certificateNotAfterMs),
		[200, undefined],
	);
});

test("a percentage is 0 or 100 only when that is exact", () => {
	const count = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.double({ min: 0, max: 1e15, noNaN: true }));
	fc.assert(
		fc.property(count, count, (mutual, plaintext) => {
			const percent = mtlsPercent({ ...noMtlsCounts(), mutual_tls: mutual, plaintext });
			if (mutual + plaintext === 0) return assert.equal(percent, undefined);
			assert.equal(percent === 100, plaintext === 0);
			assert.equal(percent === 0, mutual === 0);
			assert.equal(formatPercent(percent!) === "100 %", plaintext === 0);
			return assert.equal(formatPercent(percent!) === "0 %", mutual === 0);
		}),
	);
	assert.equal(formatPercent(99.9996), "99.9996 %");
	assert.equal(formatPercent(0.00004), "0.00004 %");
	assert.equal(formatPercent(50), "50 %");
});

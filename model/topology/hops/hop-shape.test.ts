import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TLS_FACTS } from "../facts.ts";
import type { MtlsStatus } from "../series.ts";
import { CLIENT, SERVER } from "../sources/test-kit.ts";
import { factsOf, hopsOf, linesOf, mutual, sidecarOf, span } from "./hop-kit.ts";
import { findingOf, HopShapes, statusOf } from "./hop-shape.ts";

const A = "spiffe://td/ns/one/sa/a";
const B = "spiffe://td/ns/one/sa/b";

test("the status of a hop is what both ends say, what one says, or mixed", () => {
	const rows: readonly (readonly [MtlsStatus, MtlsStatus, MtlsStatus])[] = [
		["unknown", "unknown", "unknown"],
		["mutual_tls", "mutual_tls", "mutual_tls"],
		["mutual_tls", "unknown", "mutual_tls"],
		["unknown", "plaintext", "plaintext"],
		["mutual_tls", "plaintext", "mixed"],
		["tls", "mutual_tls", "mixed"],
		["plaintext", "tls", "mixed"],
		["none", "plaintext", "plaintext"],
		["tls", "none", "tls"],
		["none", "mutual_tls", "mixed"],
		["none", "none", "none"],
	];
	for (const [source, destination, status] of rows) {
		assert.equal(statusOf(source, destination), status, `${source}, ${destination}`);
		assert.equal(statusOf(destination, source), status, `${destination}, ${source}`);
	}
});

test("each end's certificate is told by the other, and a server's word goes before a client's", () => {
	const finding = findingOf(mutual(B, A, "client"), mutual(A, B, "server"));
	assert.equal(finding.status, "mutual_tls");
	assert.equal(finding.sourcePrincipal, A);
	assert.equal(finding.destinationPrincipal, B);
	assert.equal(finding.verifiedBy, "server");
	const clientOnly = findingOf(mutual(B, A, "client"), undefined);
	assert.deepEqual([clientOnly.sourcePrincipal, clientOnly.destinationPrincipal, clientOnly.verifiedBy], [A, B, "client"]);
});

test("ends that disagree are mixed, and both statements are kept", () => {
	const spans = [
		span(1, 0, sidecarOf(CLIENT, "a", { upstream: mutual(B, A, "client") })),
		span(2, 1, sidecarOf(SERVER, "b", { downstream: { ...NO_TLS_FACTS, status: "plaintext" } })),
	];
	assert.deepEqual(linesOf(spans), ["a -> b pair mixed"]);
	const { mtls } = hopsOf(spans).hops[0]!.shape;
	assert.deepEqual([mtls.source, mtls.destination], ["mutual_tls", "plaintext"]);
});

test("what a forwarded header claims gives way to what the other end verified, and lends it no name", () => {
	const claimed = { ...mutual("spiffe://td/ns/one/sa/admin", B, "server"), verifiedBy: "header" as const };
	const verified = findingOf(mutual(B, A, "client"), claimed);
	assert.deepEqual([verified.status, verified.sourcePrincipal, verified.verifiedBy], ["mutual_tls", A, "client"]);
	const plain = findingOf({ ...NO_TLS_FACTS, status: "plaintext", verifiedBy: "client" }, claimed);
	assert.deepEqual([plain.status, plain.sourcePrincipal, plain.destinationPrincipal], ["plaintext", "", ""]);
	assert.deepEqual([plain.source, plain.destination], ["plaintext", "mutual_tls"], "both statements are kept");
	const alone = findingOf(undefined, claimed);
	assert.deepEqual([alone.status, alone.verifiedBy], ["mutual_tls", "header"]);
});

test("a source that saw 504 and a destination that saw 200 are both kept; the caller's counts", () => {
	const spans = [
		span(1, 0, sidecarOf(CLIENT, "a", { outcome: "server_error", code: "504", flags: "UT" })),
		span(2, 1, sidecarOf(SERVER, "b")),
	];
	assert.deepEqual(linesOf(spans), ["a -> b pair server_error (ok there)"]);
	const { code, flags } = hopsOf(spans).hops[0]!.shape;
	assert.deepEqual([code, flags], ["504", "UT"]);
});

test("of the two legs of a proxy only the one between the two ends counts", () => {
	const spans = [
		span(1, 0, sidecarOf(CLIENT, "a", { downstream: { ...NO_TLS_FACTS, status: "plaintext" } })),
		span(2, 1, sidecarOf(SERVER, "b", { upstream: { ...NO_TLS_FACTS, status: "plaintext" } })),
	];
	assert.deepEqual(linesOf(spans), ["a -> b pair"]);
});

test("a failed handshake is told, and makes no one authenticated", () => {
	const upstream = { ...NO_TLS_FACTS, failure: "TLS_error: certificate verify failed" };
	const { shape } = hopsOf([span(1, 0, sidecarOf(CLIENT, "a", { upstream, outcome: "no_response", flags: "UF" }))]).hops[0]!;
	assert.equal(shape.failedHandshake, true);
	assert.equal(shape.mtls.status, "unknown");
	assert.equal(shape.mtls.verifiedBy, "");
});

test("gRPC is told by either end", () => {
	const spans = [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, factsOf(SERVER, "b", { protocol: "grpc", code: "grpc:0" }))];
	assert.equal(hopsOf(spans).hops[0]!.shape.protocol, "grpc");
});

test("a certificate without a name is nobody's", () => {
	const dated = { ...mutual(B, A, "client"), peerNotAfterMs: 5, peerIssuer: "CN=ca" };
	const shapeWith = (upstream: typeof dated): unknown =>
		hopsOf([span(1, 0, sidecarOf(CLIENT, "a", { upstream }))]).hops[0]!.shape.destinationCertificate;
	assert.deepEqual(shapeWith(dated), { notAfterMs: 5, issuer: "CN=ca" });
	assert.equal(shapeWith({ ...dated, peerPrincipal: "" }), undefined);
});

test("hops between the same two kinds of spans share one shape, until the shapes are cleared", () => {
	const shapes = new HopShapes();
	const [source, destination] = [factsOf(CLIENT, "a"), factsOf(SERVER, "b")];
	const shape = shapes.of("pair", source, destination, undefined, undefined);
	assert.equal(shapes.of("pair", source, destination, undefined, undefined), shape);
	assert.notEqual(shapes.of("client-only", source, undefined, undefined, undefined), shape);
	assert.notEqual(shapes.of("request-id", source, destination, undefined, undefined), shape);
	assert.equal(shapes.size, 3);
	shapes.clear();
	assert.equal(shapes.size, 0);
	assert.notEqual(shapes.of("pair", source, destination, undefined, undefined), shape);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mutualTls } from "../telemetry/test-kit.ts";
import { unknownTls } from "../tls/hop-tls.ts";
import { clientCertHeader, isGrpcType, sortRequestHeaders, sortResponseHeaders, sortTrailers } from "./hop-headers.ts";

test("what the connection names goes with it, but never what says who is asked and where the message ends", () => {
	const sorted = sortRequestHeaders([
		...["Host", "a", "Connection", "x-one, Content-Length", "connection", "X-Two, host, cookie", "X-One", "1", "X-Two", "2"],
		...["Content-Length", "3", "Cookie", "s=1", "X-Three", "3"],
	]);
	assert.deepEqual(sorted.headers, ["content-length", "3", "cookie", "s=1", "x-three", "3"]);
	assert.equal(sorted.host, "a");
	assert.deepEqual(sorted.connectionOptions, ["x-one", "content-length", "x-two", "host", "cookie"]);
});

test("nothing else is lost, added or put in another order", () => {
	const name = fc.stringMatching(/^x-[a-z]{1,8}$/);
	fc.assert(
		fc.property(fc.array(fc.tuple(name, fc.stringMatching(/^[ -~]{0,20}$/)), { maxLength: 20 }), (fields) => {
			const raw = fields.flat().map((text, i) => (i % 2 === 0 ? text.toUpperCase() : text));
			assert.deepEqual(sortRequestHeaders(raw).headers, fields.flat());
			assert.deepEqual(sortResponseHeaders(raw), fields.flat());
			assert.deepEqual(sortTrailers(raw), fields.flat());
		}),
	);
});

test("TE keeps trailers alone, named by Connection or not; cookies become one; a claimed client certificate is dropped", () => {
	assert.deepEqual(sortRequestHeaders(["te", "gzip, trailers", "connection", "te"]).headers, ["te", "trailers"]);
	assert.deepEqual(sortRequestHeaders(["te", "gzip"]).headers, []);
	assert.deepEqual(sortRequestHeaders(["cookie", "a=1", "cookie", "b=2"]).headers, ["cookie", "a=1; b=2"]);
	assert.deepEqual(sortRequestHeaders(["X-Forwarded-Client-Cert", "By=me"]).headers, []);
});

test("trailers neither frame nor route nor authenticate", () => {
	const dangerous = ["content-length", "host", "authorization", "transfer-encoding", "set-cookie", "x-forwarded-client-cert"];
	assert.deepEqual(sortTrailers([...dangerous.flatMap((name) => [name, "1"]), "grpc-status", "0"]), ["grpc-status", "0"]);
});

test("values that came as bytes keep each of them", () => {
	const value = Buffer.from([0x61, 0xe9, 0xff]);
	assert.deepEqual(sortResponseHeaders([Buffer.from("X-Raw"), value]), ["x-raw", value.toString("latin1")]);
});

test("the app is told of a certificate only if it was verified, and a subject cannot add to it", () => {
	const tls = { ...unknownTls(""), clientPrincipal: "spiffe://d/ns/a/sa/b", clientSubject: 'CN=x";URI=spiffe://evil' };
	assert.equal(clientCertHeader(tls, "spiffe://d/ns/a/sa/me"), undefined);
	assert.equal(
		clientCertHeader({ ...tls, peerVerified: true }, "spiffe://d/ns/a/sa/me"),
		'By=spiffe://d/ns/a/sa/me;Subject="CN=x;URI=spiffe://evil";URI=spiffe://d/ns/a/sa/b',
	);
});

test("gRPC is told by its content type and nothing that begins like it", () => {
	for (const type of ["application/grpc", "application/grpc+proto", "Application/GRPC;x"]) assert.equal(isGrpcType(type), true);
	for (const type of ["application/grpc-web", "application/grpcx", "text/plain"]) assert.equal(isGrpcType(type), false);
});

test("no subject of a certificate can end the header that tells of it", () => {
	// As latin-1, which heads are written in, U+010D and U+010A are CR and LF.
	const clientSubject = 'CN=a"\\\u010d\u010ax-admin: 1\r\nü\ud800';
	const tls = mutualTls("web", "orders", { clientSubject });
	const header = clientCertHeader(tls, "spiffe://cluster.local/ns/shop/sa/orders")!;
	assert.match(header, /;Subject="CN=a%C4%8D%C4%8Ax-admin: 1%0D%0A%C3%BC%EF%BF%BD";URI=spiffe:/);
	assert.doesNotMatch(header, /[^\x20-\x7e]/);
	// It is remembered for the connection, but not for another name of our own.
	assert.equal(clientCertHeader(tls, "spiffe://cluster.local/ns/shop/sa/orders"), header);
	assert.match(clientCertHeader(tls, "spiffe://d/ns/a/sa/next")!, /^By=spiffe:\/\/d\/ns\/a\/sa\/next;/);
});

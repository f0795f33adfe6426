import assert from "node:assert/strict";
import { test } from "node:test";
import { mutualTls } from "../telemetry/test-kit.ts";
import { clientCertHeader } from "./hop-headers.ts";

test("no subject of a certificate can end the header that tells of it", () => {
	// As latin-1, which heads are written in, U+010D and U+010A are CR and LF.
	const clientSubject = 'CN=a"\\\u010d\u010ax-admin: 1\r\nü';
	const header = clientCertHeader(mutualTls("web", "orders", { clientSubject }), "spiffe://cluster.local/ns/shop/sa/orders")!;
	assert.match(header, /;Subject="CN=a%C4%8D%C4%8Ax-admin: 1%0D%0A%C3%BC";URI=spiffe:/);
	assert.doesNotMatch(header, /[^\x20-\x7e]/);
});

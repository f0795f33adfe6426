import assert from "node:assert/strict";
import { test } from "node:test";
import type { GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { cannedSeries, graphOf } from "../../model/topology/canned-series.ts";
import { proofOf } from "./proof.ts";

const [plain] = graphOf(
	cannedSeries({ mtls: "mutual_tls", verifiedBy: "server", count: 100, principals: ["spiffe://demo/a", "spiffe://demo/b"] }),
).edges as unknown as [GraphEdgeAnswer];
const counts = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };
const NOW = Date.parse("2026-01-01T12:00:00Z");

function edge(mtls: Partial<GraphEdgeAnswer["mtls"]>, rest: Partial<GraphEdgeAnswer> = {}): GraphEdgeAnswer {
	const whole = { ...plain.mtls, certificateNotAfter: "2026-01-02T00:00:00Z", counts: { ...counts, mutual_tls: 100 }, ...mtls };
	return { ...plain, ...rest, mtls: whole };
}

test("an edge is proven only where all of it is known, checked and told with both identities", () => {
	const proof = proofOf(edge({}), NOW);
	assert.deepEqual([proof.verdict, proof.reservations], ["proven", []]);
	assert.match(proof.sentence, /^All 100 requests .* were mutual TLS, and an end of each connection checked/);
});

test("each doubt is a reservation, and one is enough not to be proven", () => {
	const doubts: readonly (readonly [GraphEdgeAnswer, RegExp])[] = [
		[edge({ counts: { ...counts, mutual_tls: 99, unknown: 1 } }), /^Of 1 request nobody told/],
		[edge({ verified: false, verifiedBy: "header" }), /checked every certificate/],
		[edge({}, { sampled: true }), /may be a sample/],
		[edge({ sourcePrincipals: [] }), /identity of one end/],
		[edge({ certificateNotAfter: "2026-01-01T11:59:59Z" }), /had run out/],
	];
	for (const [doubtful, reservation] of doubts) {
		const proof = proofOf(doubtful, NOW);
		assert.equal(proof.verdict, "told");
		assert.equal(proof.reservations.length, 1);
		assert.match(proof.reservations[0]!, reservation);
	}
});

test("one request in plaintext is not rounded away, and what nobody told is not called encrypted", () => {
	const mixed = proofOf(
		edge({ status: "mixed", percent: 99.9999, counts: { ...counts, mutual_tls: 999_999, plaintext: 1 } }),
		NOW,
	);
	assert.equal(mixed.verdict, "partly");
	assert.match(mixed.sentence, /^1 of 1,000,000 requests .* 99\.9999 % mutual TLS/);
	assert.equal(proofOf(edge({ status: "plaintext", percent: 0, counts: { ...counts, plaintext: 9 } }), NOW).verdict, "refuted");
	assert.equal(proofOf(edge({ status: "unknown", counts: { ...counts, unknown: 9 } }), NOW).verdict, "unknown");
});

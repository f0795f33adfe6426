import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger } from "./ledger.ts";
import { factsOfLogProfile } from "./log-extractor.ts";
import { LogWriter } from "./log-writer.ts";
import { NUMBER, NUMBERS_A_ROW, WORDS_A_ROW } from "./record-rows.ts";
import { SeriesRegistry } from "./series-registry.ts";

const TIME_MS = 1_790_000_000_000;
const REFUSED = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED";

/** What one record adds: requests, as they came and scaled, tries, failed handshakes. */
function added(direction: string, attributes: Readonly<Record<string, string>>): readonly number[] {
	const facts = factsOfLogProfile({
		...{ id: 1, kind: 0, status: 0, name: "", scope: "" },
		resource: Object.entries({ "service.name": "backend", "meshscope.direction": direction }),
		attributes: Object.entries(attributes),
	});
	const numbers = new Float64Array(NUMBERS_A_ROW);
	numbers[NUMBER.startMs] = TIME_MS;
	numbers[NUMBER.durationNs] = 5e6;
	const rows = { count: 1, words: new Uint32Array(WORDS_A_ROW), numbers, profiles: [] };
	const ledger = new Ledger();
	const writer = new LogWriter(new SeriesRegistry({ maxEndpoints: 10, maxSeries: 10 }, []));
	writer.add(ledger, facts!, rows, 0);
	const sums = ledger.sumsOf(1, TIME_MS);
	return [sums.observed, sums.count, sums.attempts, sums.failedHandshakes];
}

test("a caller's handshake that failed brought no request: a listener logs it with no code", () => {
	const record = {
		...{ log_type: "NotSet", response_code: "0", response_flags: "-", downstream_remote: "10.1.0.9:41000" },
		downstream_tls_version: "-",
	};
	assert.deepEqual(added("inbound", { ...record, downstream_tls_failure: REFUSED }), [0, 0, 0, 1]);
	assert.deepEqual(added("inbound", record), [1, 1, 1, 0], "a request that got no answer is one");
});

test("a request whose handshake with the callee failed is a request all the same", () => {
	const record = { log_type: "DownstreamEnd", upstream_cluster: "outbound|80||b.ns.svc.cluster.local", response_flags: "UF" };
	const failed = { ...record, upstream_tls_failure: REFUSED };
	assert.deepEqual(added("outbound", { ...failed, response_code: "503" }), [1, 1, 1, 1]);
	assert.deepEqual(added("outbound", { ...failed, response_code: "0" }), [1, 1, 1, 1], "the caller left first");
});

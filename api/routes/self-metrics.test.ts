import assert from "node:assert/strict";
import { test } from "node:test";
import { DROP_REASONS, TOPOLOGY_LOSSES } from "../../model/errors.ts";
import { cannedStatus } from "../canned-status.ts";
import { prometheusText } from "./self-metrics.ts";

const LINE =
	/^(?<name>[a-z_0-9]+)(?:\{(?<labels>[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*)\})? (?<value>-?[\d.e+-]+)$/;

test("every line is a comment or a sample, and every family has its help and type once, before its samples", () => {
	const text = prometheusText(cannedStatus);
	assert.ok(text.endsWith("\n"));
	const types = new Map<string, string>();
	const seen = new Set<string>();
	let samples = 0;
	for (const line of text.slice(0, -1).split("\n")) {
		const comment = /^# (HELP|TYPE) (meshscope_[a-z_0-9]+) (.+)$/.exec(line);
		if (comment !== null) {
			const [, kind = "", name = "", rest = ""] = comment;
			if (kind === "HELP") assert.equal(types.has(name), false, `${name} twice`);
			else types.set(name, rest);
			continue;
		}
		const groups = LINE.exec(line)?.groups;
		assert.ok(groups, line);
		const type = types.get(groups["name"] ?? "");
		assert.ok(type === "counter" || type === "gauge", line);
		assert.equal((groups["name"] ?? "").endsWith("_total"), type === "counter", `counters end in _total: ${line}`);
		const identity = line.slice(0, line.lastIndexOf(" "));
		assert.equal(seen.has(identity), false, `${identity} twice`);
		seen.add(identity);
		samples++;
	}
	assert.ok(samples > 60, `${samples} samples`);
});

test("what was counted is there by signal and reason, in base units, and what was not is 0", () => {
	const text = prometheusText(cannedStatus);
	const expected = [
		'meshscope_ingest_records_total{signal="logs"} 1000',
		'meshscope_ingest_dropped_records_total{signal="traces",reason="invalid_trace_id"} 3',
		'meshscope_ingest_refused_batches_total{signal="traces",code="overloaded"} 2',
		'meshscope_ingest_refused_batches_total{signal="traces",code="internal"} 1',
		'meshscope_ingest_refused_batches_total{signal="traces",code="store_full"} 0',
		'meshscope_ingest_ack_seconds{quantile="0.99"} 0.057',
		'meshscope_store_windows{state="damaged"} 1',
		"meshscope_store_retention_max_age_seconds 604800",
		"meshscope_topology_lag_seconds 1.5",
		'meshscope_topology_losses_total{reason="overflowed_names"} 19',
		'meshscope_topology_losses_total{reason="trace_too_large"} 0',
		"meshscope_topology_failed_flushes_total 21",
		"meshscope_ready 1",
	];
	for (const line of expected) assert.ok(text.includes(`${line}\n`), line);
	for (const reason of Object.keys(DROP_REASONS)) assert.ok(text.includes(`{signal="metrics",reason="${reason}"}`), reason);
	for (const reason of Object.keys(TOPOLOGY_LOSSES)) assert.ok(text.includes(`losses_total{reason="${reason}"}`), reason);
});

test("a label value is escaped, and a family without a sample is left out", () => {
	const store = { ...cannedStatus.store, windows: [] };
	const text = prometheusText({ ...cannedStatus, version: 'a"b\\c\nd', store });
	assert.ok(text.includes('version="a\\"b\\\\c\\nd"'));
	assert.doesNotMatch(text, /oldest_window/);
});

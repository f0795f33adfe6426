import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { HOUR_MS, NOW_MS, temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { from, span, Workbench } from "../conformance/workbench.ts";
import { openMemoryStore } from "../memory/engine.ts";
import { openMemoryTopology } from "../memory/topology.ts";
import { BlockTable } from "./block-table.ts";
import { openForReading } from "./database.ts";
import { openSqliteReader } from "./reader.ts";
import { WindowSet, windowPath } from "./window-set.ts";
import { openSqliteWriter } from "./writer.ts";

test("a small block's reader counts the row that all of its parts come from, and lets go of it", async (t) => {
	const directory = temporaryDirectory(t);
	const writer = openSqliteWriter({
		directory,
		windowMs: HOUR_MS,
		maxAgeMs: 1_000 * HOUR_MS,
		maxBytes: 1 << 30,
		now: () => NOW_MS,
		log: () => {},
		failpoint: () => {},
	});
	const reader = openSqliteReader({ directory, cacheBytes: 1 << 20, searchBudgetMs: 60_000, now: Date.now });
	const bench = new Workbench(
		{
			writer,
			reader,
			topology: {
				...openMemoryTopology({ keptSinceMs: () => 0, now: () => NOW_MS }),
				committed: openMemoryStore().committed,
			},
			capabilities: { durable: true, sql: true, backup: true },
			dispose: async () => {},
		},
		{
			skimTraces: (bytes, columns) => void skimTraces(bytes, columns, DEFAULT_LIMITS),
			skimLogs: () => {},
			decodeMetrics: () => ({ series: [], points: [] }),
		},
	);
	const spans = Array.from({ length: 200 }, (_, i) => span(i, 1));
	bench.append({ traces: [from("a", spans)], arrivedMs: NOW_MS });
	await reader.close();
	writer.close();

	const windows = new WindowSet(directory);
	const [entry] = windows.list();
	windows.close();
	const database = openForReading(windowPath(directory, entry!.name));
	t.after(() => database.close());
	const table = new BlockTable(database);
	const [block] = table.blocks("traces");
	const opened = table.open(block!.id);
	opened.head();
	const withRow = opened.partBytes;
	opened.forgetParts();
	// Two hundred ids of 24 bytes have no shorter form.
	assert.ok(withRow - opened.partBytes > 4_000, `${withRow} bytes held, ${opened.partBytes} after`);
	assert.equal(opened.traces().count, 200);
	assert.ok(opened.partBytes > withRow - 1_000);
});

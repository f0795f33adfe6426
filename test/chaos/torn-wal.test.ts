import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { openSqliteReader } from "../../store/sqlite/reader.ts";
import { openSqliteWriter } from "../../store/sqlite/writer.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { temporaryFolder } from "./temporary.ts";
import { makeCrashImage, runTornCase } from "./torn-wal.ts";
import type { EngineUnderTest } from "./torn-wal.ts";

const GROUPS = 30;

const sqlite: EngineUnderTest = {
	openWriter: (directory) =>
		openSqliteWriter({
			directory,
			windowMs: 3_600_000,
			maxAgeMs: 7 * 86_400_000,
			maxBytes: 1e10,
			now: Date.now,
			log: () => undefined,
			failpoint: () => undefined,
		}),
	openReader: (directory) => openSqliteReader({ directory, cacheBytes: 1 << 20, searchBudgetMs: 5_000, now: Date.now }),
};

/** Small, fast and seeded (mulberry32), so that a case that fails can be run again. */
function seeded(seed: number): () => number {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
	};
}

test(`a WAL cut or damaged at a random byte leaves a prefix of the commits, ${FIGURES.tornWalCases} cases`, async (context: TestContext) => {
	await using folder = await temporaryFolder("torn-wal");
	const image = makeCrashImage(sqlite, folder.path, GROUPS);
	assert.ok(image.wals.length > 0, "the image has no WAL to damage");
	const figures = { cases: 0, "kept all": 0, "kept none": 0, "kept a part": 0 };
	for (let seed = 1; seed <= FIGURES.tornWalCases; seed++) {
		try {
			const { kept } = await runTornCase(sqlite, image, path.join(folder.path, `case-${seed}`), seeded(seed));
			figures.cases++;
			figures[kept === GROUPS ? "kept all" : kept === 0 ? "kept none" : "kept a part"]++;
		} catch (error) {
			throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
		}
	}
	assert.ok(figures["kept a part"] > 0, "no case cut the window's own WAL in the middle");
	printFigures(context, "torn WAL", { ...figures, wals: image.wals.join(" ") });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { addUp, joinSums } from "../../store/conformance/rollup-sums.ts";
import { openTopologyReader } from "../../store/sqlite/topology/reader.ts";
import { openTopologyWriter } from "../../store/sqlite/topology/writer.ts";
import { temporaryFolder } from "./temporary.ts";

const FLUSHING = path.join(import.meta.dirname, "topology-flushing.ts");

for (const failpoint of ["before-topology-commit:7", "after-topology-commit:7", "before-topology-join:1"]) {
	test(`what was counted is what the cursor says when the process ends at ${failpoint}`, async () => {
		await using folder = await temporaryFolder("topology-failpoint");
		for (let round = 1; round <= 3; round++) {
			const env = { ...process.env, MESHSCOPE_FAILPOINT: failpoint };
			const doomed = spawnSync(process.execPath, [FLUSHING, folder.path], { env, encoding: "utf8", timeout: 30_000 });
			assert.equal(doomed.signal, "SIGKILL", doomed.stderr);
			const said = Number(doomed.stdout.trim().split("\n").at(-1) ?? 0);
			const reader = openTopologyReader(folder.path);
			const buckets = [...reader.rollups(10_000, 0, 1)];
			reader.close();
			const writer = openTopologyWriter({
				directory: folder.path,
				maxBytes: 1e9,
				keptSinceMs: () => 0,
				join: joinSums,
				now: Date.now,
				log: () => {},
				failpoint: () => {},
			});
			const { cursor } = writer.load();
			writer.close();
			const counted = buckets.reduce((total, { data }) => total + (addUp(data)[1] ?? 0), 0);
			assert.equal(counted, cursor?.commit ?? 0);
			assert.ok(counted >= said && counted <= said + 1, `${counted} counted, ${said} said`);
		}
	});
}

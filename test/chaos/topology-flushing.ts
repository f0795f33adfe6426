/**
 * Flushes one count after the other, says each on a line once it is durable, and dies where MESHSCOPE_FAILPOINT says.
 * `node topology-flushing.ts DIRECTORY`
 */
import { joinSums, encodeSums } from "../../store/conformance/rollup-sums.ts";
import { createFailpoint } from "../../store/sqlite/failpoint.ts";
import { openTopologyWriter } from "../../store/sqlite/topology/writer.ts";

const NONE = { state: new Uint8Array(0), series: [], exemplars: [], certificates: [], addresses: [], counters: [] };

const writer = openTopologyWriter({
	directory: process.argv[2]!,
	maxBytes: 1e9,
	keptSinceMs: () => 0,
	join: joinSums,
	now: Date.now,
	log: () => {},
	failpoint: createFailpoint(process.env["MESHSCOPE_FAILPOINT"]),
});
const first = (writer.load().cursor?.commit ?? 0) + 1;
for (let commit = first; commit < first + 200; commit++) {
	const data = encodeSums({ 1: 1 });
	writer.flush({ ...NONE, cursor: { window: "w", commit }, rollups: [{ resolutionMs: 10_000, bucketMs: 0, data }] });
	process.stdout.write(`${commit}\n`);
	while (writer.maintain(Date.now()));
}
writer.close();

/** The topology stage alone: nothing is read back, and flushes go where the benchmark wants them. */
import { factsOfProfile } from "../collector/topology/span-profile.ts";
import { DEFAULT_STAGE_LIMITS } from "../collector/topology/stage-options.ts";
import { TopologyStage } from "../collector/topology/stage.ts";
import type { TopologyFlush } from "../store/topology.ts";

export function loneStage(flush: (flush: TopologyFlush) => void): TopologyStage {
	return new TopologyStage({
		store: {
			load: () => ({ cursor: undefined, state: new Uint8Array(), series: [], counters: [] }),
			flush,
			maintain: () => false,
			bytesOnDisk: () => 0,
			close() {},
		},
		committed: {
			traces() {},
			recentTraceHashes: () => new Uint32Array(),
			hash: (_w0, _w1, _w2, w3) => w3,
			oldestMs: () => undefined,
			close() {},
		},
		rowsOf: () => undefined,
		spanFacts: factsOfProfile,
		logFacts: () => undefined,
		metrics: () => ({ observe() {}, takeChanged: () => [] }),
		limits: DEFAULT_STAGE_LIMITS,
		monotonicMs: () => performance.now(),
		log: console.log,
	});
}

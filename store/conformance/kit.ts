/**
 * The rules of store/store.ts as tests: every engine runs them all. A rule that does not apply to an engine is skipped by its
 * capabilities, which says why.
 */
import { test } from "node:test";
import type { RecordColumns } from "../../model/columns.ts";
import type { MetricBatch } from "../../model/metric.ts";
import type { StoreCapabilities, StoreReader, StoreScanner, StoreWriter } from "../store.ts";
import type { CommittedTraces, TopologyReader, TopologyWriter } from "../topology.ts";
import { ANALYSIS_RULES } from "./rules-analysis.ts";
import { COMMITTED_RULES } from "./rules-committed.ts";
import { DIFFERENTIAL_RULES } from "./rules-differential.ts";
import { GRAPH_RULES } from "./rules-graph.ts";
import { HOP_RULES } from "./rules-hops.ts";
import { LOG_RULES } from "./rules-logs.ts";
import { METRIC_RULES } from "./rules-metrics.ts";
import { NAME_RULES } from "./rules-names.ts";
import { REPLAY_RULES } from "./rules-replay.ts";
import { SEARCH_RULES } from "./rules-search.ts";
import { TOPOLOGY_RULES } from "./rules-topology.ts";
import { TRACE_RULES } from "./rules-traces.ts";
import { WRITING_RULES } from "./rules-writing.ts";
import { Workbench } from "./workbench.ts";

/** Opened with `joinSums` to join deltas, the clock at NOW_MS, and finest buckets kept for TOPOLOGY_KEPT_MS. */
export interface TopologyUnderTest {
	readonly writer: TopologyWriter;
	readonly reader: TopologyReader;
	readonly committed: CommittedTraces;
}

export const TOPOLOGY_KEPT_MS = 2 * 3_600_000;

export interface StoreUnderTest {
	readonly writer: StoreWriter;
	readonly reader: StoreReader;
	readonly scanner?: StoreScanner;
	readonly topology: TopologyUnderTest;
	readonly capabilities: StoreCapabilities;
	/** Durable engines: closes everything and opens the same data again. This object is not used afterwards. */
	readonly reopen?: () => Promise<StoreUnderTest>;
	/** Engines with backup: opens a copy that `writer.backup` made, for reading. */
	readonly openBackup?: (directory: string) => Promise<StoreUnderTest>;
	/** Closes everything and removes what was written. */
	readonly dispose: () => Promise<void>;
}

export type StoreFactory = () => Promise<StoreUnderTest>;

/** How OTLP bytes become what an engine is given; the collector's decoders, which this folder may not import. */
export interface ConformanceDecoders {
	skimTraces(bytes: Uint8Array, columns: RecordColumns): void;
	skimLogs(bytes: Uint8Array, columns: RecordColumns): void;
	decodeMetrics(bytes: Uint8Array): MetricBatch;
}

export interface ConformanceOptions extends ConformanceDecoders {
	/** The engine whose answers are right; absent only where the engine under test is that one. */
	readonly oracle?: StoreFactory;
	/** Random histories of the differential test; default from MESHSCOPE_DIFFERENTIAL_RUNS, else 30. */
	readonly differentialRuns?: number;
}

/** What a rule may use beside its own store. */
export interface RuleContext extends ConformanceOptions {
	/** Opens a further, empty store of the engine under test. */
	readonly factory: StoreFactory;
}

export interface Rule {
	readonly title: string;
	/** Skips the rule, saying why, when the engine cannot be held to it. */
	readonly skip?: (store: StoreUnderTest, options: ConformanceOptions) => string | undefined;
	readonly run: (workbench: Workbench, context: RuleContext) => Promise<void>;
}

const RULES: readonly Rule[] = [
	...TRACE_RULES,
	...SEARCH_RULES,
	...HOP_RULES,
	...ANALYSIS_RULES,
	...NAME_RULES,
	...LOG_RULES,
	...METRIC_RULES,
	...WRITING_RULES,
	...REPLAY_RULES,
	...COMMITTED_RULES,
	...TOPOLOGY_RULES,
	...GRAPH_RULES,
	...DIFFERENTIAL_RULES,
];

/** Registers one test a rule; each gets a new, empty store. */
export function runStoreConformance(name: string, factory: StoreFactory, options: ConformanceOptions): void {
	for (const rule of RULES) {
		test(`${name}: ${rule.title}`, async (context) => {
			const store = await factory();
			const workbench = new Workbench(store, options);
			try {
				const reason = rule.skip?.(store, options);
				if (reason !== undefined) return context.skip(reason);
				await rule.run(workbench, { ...options, factory });
			} finally {
				await workbench.dispose();
			}
		});
	}
}

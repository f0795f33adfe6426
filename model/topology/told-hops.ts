/** Hops of a trace as answers tell them: with the names and edge ids of the graph, and the ids of the spans behind them. */
import type { Evidence, MtlsFinding, Outcome, Protocol, Reporter } from "./series.ts";

/** What calls of one kind have in common. */
export interface ToldCall {
	/** Of the graph by service. */
	readonly edgeId: string;
	/** Node ids. */
	readonly source: string;
	readonly target: string;
	readonly mtls: MtlsFinding;
	/** Response code and Envoy's flags; empty for none. */
	readonly code: string;
	readonly flags: string;
}

/** A call from one workload to another that a trace shows, as it is counted in the graph. */
export interface ToldHop extends ToldCall {
	readonly protocol: Protocol;
	readonly evidence: Evidence;
	readonly reporter: Reporter;
	readonly outcome: Outcome;
	/** What the destination said where it differs. */
	readonly destinationOutcome: Outcome | undefined;
	readonly attempts: number;
	/** Start at the caller where it reported. */
	readonly startMs: number;
	/** Undefined where that end did not report. */
	readonly sourceLatencyNs: number | undefined;
	readonly destinationLatencyNs: number | undefined;
	/** Of the callee: its app's own span, and what its proxy took longer. */
	readonly appNs: number | undefined;
	readonly proxyNs: number | undefined;
	readonly spans: {
		/** Nearest to the network. */
		readonly source: string | undefined;
		readonly destination: string | undefined;
		/** The apps' own. */
		readonly sourceApp: string | undefined;
		readonly destinationApp: string | undefined;
		/** One that names both ends. */
		readonly waypoint: string | undefined;
	};
}

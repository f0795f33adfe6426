/** The tables of the status page: what was received, what was not kept and why, and the files that hold the rest. */
import type { ReactNode } from "react";
import type { StatusAnswer } from "../../../api/contract/status.ts";
import { DROP_REASONS, ERRORS, TOPOLOGY_LOSSES } from "../../../model/errors.ts";
import { formatBytes, formatCount, formatUtcMs } from "../../base/format.ts";
import { countColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

const SIGNALS = ["traces", "logs", "metrics"] as const;
const RECORDS = { traces: "Spans", logs: "Log records", metrics: "Metric points" } as const;

type Ingest = StatusAnswer["ingest"];
type Topology = StatusAnswer["topology"];

interface AsOf {
	/** When it was answered. */
	readonly asOf: string;
}

interface Signal {
	readonly signal: (typeof SIGNALS)[number];
	readonly counts: Ingest["traces"];
}

const SIGNAL_COLUMNS: readonly Column<Signal>[] = [
	{ key: "signal", title: "Signal", heads: true, value: ({ signal }) => RECORDS[signal] },
	countColumn("storedRecords", "Records stored", ({ counts }) => counts.acceptedRecords),
	countColumn("batches", "Batches", ({ counts }) => counts.acceptedBatches),
	bytesColumn("payloadBytes", "Payload", ({ counts }) => counts.acceptedBytes),
	countColumn("duplicateBatches", "Batches sent again", ({ counts }) => counts.duplicateBatches),
	countColumn("droppedRecords", "Records dropped", ({ counts }) => sum(counts.droppedRecords)),
	countColumn("refusedBatches", "Batches refused", ({ counts }) => sum(counts.refusedBatches)),
];

export function SignalTable({ ingest, asOf }: AsOf & { readonly ingest: Ingest }): ReactNode {
	return (
		<DataTable
			name="signals"
			title="Received since start"
			note="What is sent again is acknowledged and stored once."
			empty=""
			columns={SIGNAL_COLUMNS}
			rows={SIGNALS.map((signal) => ({ signal, counts: ingest[signal] }))}
			rowKey={({ signal }) => signal}
			asOf={asOf}
		/>
	);
}

function bytesColumn<T>(key: string, title: string, value: (row: T) => number): Column<T> {
	return { key, title, number: true, value, cell: (row) => formatBytes(value(row)) };
}

function sum(counts: Readonly<Record<string, number>>): number {
	return Object.values(counts).reduce((total, count) => total + count, 0);
}

interface Loss {
	readonly what: string;
	readonly reason: string;
	readonly meaning: string;
	readonly count: number;
}

const LOSS_COLUMNS: readonly Column<Loss>[] = [
	{
		key: "what",
		title: "What",
		heads: true,
		value: ({ what }) => what,
		cell: ({ what }) => <span className="one-row">{what}</span>,
	},
	{ key: "reason", title: "Reason", value: ({ reason }) => reason, cell: ({ reason }) => <code>{reason}</code> },
	countColumn("count", "Count", ({ count }) => count),
	{
		key: "meaning",
		title: "What it means",
		value: ({ meaning }) => meaning,
		cell: ({ meaning }) => <span className="muted">{meaning}</span>,
	},
];

/** Each reason for which something was not kept, with what it means. */
export function LossTable({
	ingest,
	topology,
	asOf,
}: AsOf & { readonly ingest: Ingest; readonly topology: Topology }): ReactNode {
	return (
		<>
			<DataTable
				name="losses"
				title="Refused and dropped"
				note="Since start. A sender repeats what is refused; what is dropped breaks a rule."
				empty="Nothing. Every record that arrived was stored."
				columns={LOSS_COLUMNS}
				rows={lossesOf(ingest, topology)}
				rowKey={({ what, reason }) => `${what} ${reason}`}
				asOf={asOf}
			/>
			{ingest.invalidUtf8Strings > 0 && (
				<p className="muted">{formatCount(ingest.invalidUtf8Strings)} strings held invalid UTF-8, which became U+FFFD.</p>
			)}
		</>
	);
}

function lossesOf(ingest: Ingest, topology: Topology): readonly Loss[] {
	const records = SIGNALS.flatMap((signal): Loss[] => [
		...entries(ingest[signal].refusedBatches).map(([reason, count]) => ({
			what: `${signal}, batches refused`,
			...{ reason, count },
			meaning: reason in ERRORS ? fixOf(ERRORS[reason as keyof typeof ERRORS]) : "",
		})),
		...entries(ingest[signal].droppedRecords).map(([reason, count]) => ({
			what: `${signal}, records dropped`,
			...{ reason, count },
			meaning: reason in DROP_REASONS ? DROP_REASONS[reason as keyof typeof DROP_REASONS] : "",
		})),
	]);
	return [
		...records,
		...entries(topology.losses).map(([reason, count]) => ({
			what: "topology, not in the graph",
			...{ reason, count },
			meaning: reason in TOPOLOGY_LOSSES ? TOPOLOGY_LOSSES[reason as keyof typeof TOPOLOGY_LOSSES] : "",
		})),
	];
}

function entries(counts: Readonly<Record<string, number>>): [string, number][] {
	return Object.entries(counts).filter(([, count]) => count > 0);
}

function fixOf(entry: { readonly meaning: string; readonly fix: string }): string {
	return `${entry.meaning} ${entry.fix}`;
}

type Window = StatusAnswer["store"]["windows"][number];

const STATES = { open: "open", sealed: "sealed", damaged: "damaged, set aside" } as const;

function momentColumn(key: string, title: string, ms: (window: Window) => number): Column<Window> {
	return {
		...{ key, title, value: (window) => new Date(ms(window)).toISOString() },
		cell: (window) => <span className="one-row">{formatUtcMs(ms(window))}</span>,
	};
}

const WINDOW_COLUMNS: readonly Column<Window>[] = [
	{
		key: "name",
		title: "Window",
		heads: true,
		value: ({ name }) => name,
		cell: ({ name }) => <span className="mono">{name}</span>,
	},
	momentColumn("from", "Arrived from", ({ fromMs }) => fromMs),
	momentColumn("to", "until", ({ toMs }) => toMs),
	{
		key: "state",
		title: "State",
		value: ({ state, problem }) => (problem === undefined ? STATES[state] : `${STATES[state]}: ${problem}`),
		cell: ({ state, problem }) => (
			<>
				<span className={state === "damaged" ? "failed" : undefined}>{STATES[state]}</span>
				{problem !== undefined && <p className="muted told">{problem}</p>}
			</>
		),
	},
	bytesColumn("bytes", "Size", ({ bytes }) => bytes),
	countColumn("spans", "Spans", ({ spans }) => spans),
	countColumn("logs", "Log records", ({ logs }) => logs),
	countColumn("metricPoints", "Metric points", ({ metricPoints }) => metricPoints),
];

export function WindowTable({ windows, asOf }: AsOf & { readonly windows: readonly Window[] }): ReactNode {
	return (
		<DataTable
			name="windows"
			title="Windows"
			note="Each is a file of what arrived in its time, the newest first. The oldest go when the disk budget is used up."
			empty="None yet: the first batch opens one."
			columns={WINDOW_COLUMNS}
			rows={windows.toReversed()}
			rowKey={({ name }) => name}
			asOf={asOf}
		/>
	);
}

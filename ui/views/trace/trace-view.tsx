/** One trace: what it was, its spans in time, its logs. */
import { lazy, Suspense, useEffect, useMemo } from "react";
import type { ReactNode } from "react";
import type { LogEntry } from "../../../api/contract/logs.ts";
import { parseTraceId } from "../../../model/ids.ts";
import { ApiError } from "../../base/api.ts";
import {
	countOf,
	formatClock,
	formatCount,
	formatDay,
	formatDuration,
	formatUtc,
	serviceLabel,
	shorten,
} from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, useLocation } from "../../base/router.ts";
import { colourSlots } from "../../base/service-colour.ts";
import { useTrace, useTraceLogs } from "../../data/queries.ts";
import type { TraceAnswer } from "../../data/queries.ts";
import { buildWaterfall } from "../../layout/waterfall.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { CopyButton } from "../copy-button.tsx";
import { DamagedWindows } from "../damaged-windows.tsx";
import { ErrorNotice, Notice } from "../notice.tsx";
import { JsonDownload } from "./json-download.tsx";
import { TraceLogs } from "./trace-logs.tsx";
import { WaterfallView } from "./waterfall-view.tsx";

export function TraceView({ traceId }: { readonly traceId: string }): ReactNode {
	const id = parseTraceId(traceId);
	const trace = useTrace(id ?? traceId);
	useEffect(() => {
		const name = trace.data?.meshscope.rootName;
		document.title = `${name === undefined ? traceId : shorten(name, 60)} · meshscope`;
	}, [trace.data, traceId]);
	if (trace.data !== undefined)
		return <Loaded trace={trace.data} refresh={() => void trace.refetch()} refreshing={trace.isFetching} />;
	return (
		<div className="page">
			<h1>
				Trace <span className="mono told">{shorten(traceId)}</span>
			</h1>
			{trace.isError ? (
				<Missing error={trace.error} retry={() => void trace.refetch()} />
			) : (
				<p className="muted">Reading the trace…</p>
			)}
		</div>
	);
}

function Missing({ error, retry }: { readonly error: unknown; readonly retry: () => void }): ReactNode {
	const unknown = error instanceof ApiError && error.code === "not_found";
	return (
		<>
			<ErrorNotice error={error} what={unknown ? "There is no trace of this ID here." : "The trace could not be read."} />
			<p className="empty-actions trace-missing">
				<button type="button" onClick={retry}>
					Try again
				</button>
				<Link className="button-link" href="/traces">
					Search traces
				</Link>
			</p>
		</>
	);
}

const FlameView = lazy(async () => ({ default: (await import("./trace-tools.ts")).FlameView }));
const CompareView = lazy(async () => ({ default: (await import("./trace-tools.ts")).CompareView }));
const TraceTime = lazy(async () => ({ default: (await import("./trace-tools.ts")).TraceTime }));

const TABS = [
	{ key: "spans", label: "Spans" },
	{ key: "time", label: "Where the time went" },
	{ key: "flame", label: "Flame graph" },
	{ key: "compare", label: "Compare" },
	{ key: "logs", label: "Logs" },
] as const;

interface LoadedProps {
	readonly trace: TraceAnswer;
	readonly refresh: () => void;
	readonly refreshing: boolean;
}

function Loaded({ trace, refresh, refreshing }: LoadedProps): ReactNode {
	const { path, params } = useLocation();
	const waterfall = useMemo(() => buildWaterfall(trace), [trace]);
	const slots = useMemo(() => colourSlots(waterfall.services), [waterfall]);
	const logs = useTraceLogs({ traceId: trace.meshscope.traceId, startNs: waterfall.startNs, durationNs: waterfall.durationNs });
	const tab = TABS.find((one) => one.key === params.get("tab"))?.key ?? (params.has("with") ? "compare" : "spans");
	// Start and duration are the rows' own: the summary also counts spans without a time, which would begin in 1970.
	const { meshscope: summary } = trace;
	return (
		<div className="trace-page">
			<header className="trace-head">
				<div className="trace-title">
					<h1>
						<bdi>{serviceLabel(summary.rootService)}</bdi>{" "}
						<bdi className="trace-root-name">{shorten(summary.rootName)}</bdi>
					</h1>
					<span className="trace-actions">
						<button type="button" onClick={refresh} disabled={refreshing}>
							{refreshing ? "Reading…" : "Read again"}
						</button>
						<JsonDownload traceId={summary.traceId} />
					</span>
				</div>
				<dl className="trace-facts">
					<div>
						<dt>Trace ID</dt>
						<dd>
							<span className="mono">{summary.traceId}</span>
							<CopyButton text={summary.traceId} label="Copy the trace ID" />
						</dd>
					</div>
					<div>
						<dt>Start</dt>
						<dd className="tabular" title={formatUtc(String(waterfall.startNs))}>
							{formatDay(String(waterfall.startNs))} {formatClock(String(waterfall.startNs))}
						</dd>
					</div>
					<div>
						<dt>Duration</dt>
						<dd>{formatDuration(waterfall.durationNs)}</dd>
					</div>
					<div>
						<dt>Spans</dt>
						<dd>{formatCount(waterfall.count)}</dd>
					</div>
					<div>
						<dt>Errors</dt>
						<dd className={waterfall.errorCount > 0 ? "failed" : undefined}>{formatCount(waterfall.errorCount)}</dd>
					</div>
					<div>
						<dt>Services</dt>
						<dd>{formatCount(waterfall.services.length)}</dd>
					</div>
				</dl>
				<Legend waterfall={waterfall} slots={slots} />
				<Doubts waterfall={waterfall} damagedWindows={summary.damagedWindows} />
				<nav className="trace-tabs" aria-label="Parts of the trace">
					{TABS.map(({ key, label }) => (
						<Link
							key={key}
							href={hrefWith(path, params, { tab: key === "spans" && !params.has("with") ? undefined : key })}
							aria-current={tab === key ? "page" : undefined}
						>
							{label}
							{key === "logs" && logs.data !== undefined && ` (${formatCount(logs.data.logs.length)})`}
						</Link>
					))}
				</nav>
			</header>
			<Suspense fallback={<p className="trace-part muted">Reading…</p>}>
				{tab === "logs" && <TraceLogs logs={logs} waterfall={waterfall} slots={slots} />}
				{tab === "time" && <TraceTime waterfall={waterfall} traceId={summary.traceId} />}
				{tab === "flame" && <FlameView waterfall={waterfall} traceId={summary.traceId} slots={slots} />}
				{tab === "compare" && (
					<CompareView
						key={params.get("with")}
						traceId={summary.traceId}
						waterfall={waterfall}
						other={params.get("with") ?? ""}
					/>
				)}
			</Suspense>
			{tab === "spans" && (
				<WaterfallView
					waterfall={waterfall}
					slots={slots}
					hops={summary.hops}
					spansLeft={summary.spansLeft}
					logs={logs.data?.logs ?? NO_LOGS}
					initialSpanId={params.get("span") ?? undefined}
				/>
			)}
		</div>
	);
}

const NO_LOGS: readonly LogEntry[] = [];
const LEGEND_MAX = 12;

function Legend({ waterfall, slots }: { readonly waterfall: Waterfall; readonly slots: readonly number[] }): ReactNode {
	const spansOf = useMemo(() => {
		const counts = new Uint32Array(waterfall.services.length);
		for (const service of waterfall.service) counts[service]!++;
		return counts;
	}, [waterfall]);
	const rest = waterfall.services.length - LEGEND_MAX;
	return (
		<ul className="legend" aria-label="Services of the trace">
			{waterfall.services.slice(0, LEGEND_MAX).map((name, index) => (
				<li key={name}>
					<span className={`swatch slot-${slots[index]}`} aria-hidden="true" />
					<bdi className="one-line">{serviceLabel(name)}</bdi>
					<span className="muted">{formatCount(spansOf[index]!)}</span>
				</li>
			))}
			{rest > 0 && <li className="muted">and {formatCount(rest)} more</li>}
		</ul>
	);
}

interface DoubtsProps {
	readonly waterfall: Waterfall;
	readonly damagedWindows: readonly string[];
}

/** What makes this trace less than whole, said once above it. */
function Doubts({ waterfall, damagedWindows }: DoubtsProps): ReactNode {
	const orphans = waterfall.orphanCount;
	return (
		<>
			<DamagedWindows names={damagedWindows} consequence="More spans of this trace may lie in there." />
			{orphans > 0 && (
				<Notice tone="warn">
					{countOf(orphans, "span")} {orphans === 1 ? "names a parent" : "name parents"} that{" "}
					{orphans === 1 ? "is" : "are"} not here: not arrived yet, not sampled, or dropped by the sender. Shown as{" "}
					{orphans === 1 ? "a root" : "roots"}.
				</Notice>
			)}
		</>
	);
}

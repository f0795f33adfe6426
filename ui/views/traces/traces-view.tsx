/** The traces page: traces as they arrive, narrowed by what the address says. Before the first span it is the setup page. */
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import type { SearchedInfo } from "../../../api/contract/common.ts";
import type { TraceSummary } from "../../../api/contract/traces.ts";
import { countOf, formatCount, formatUtc, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, traceHref, useLocation } from "../../base/router.ts";
import { isTyping } from "../../base/typing.ts";
import { useSpanDurations, useStatus, useTraces } from "../../data/queries.ts";
import { isNarrowed, pickedTraces, readFilter, searchQuery, withoutEach } from "../../data/trace-filter.ts";
import type { TraceFilter } from "../../data/trace-filter.ts";
import { brushedQuery, clearedChange, countedSpans, durationsQuery, readBrush } from "../../data/duration-chart.ts";
import { differencesQuery } from "../../data/differences.ts";
import { TableExports } from "../table-exports.tsx";
import type { Column } from "../data-table.tsx";
import { DamagedWindows } from "../damaged-windows.tsx";
import { ErrorNotice, Notice } from "../notice.tsx";
import { SetupView } from "../setup/setup-view.tsx";
import { DurationChart } from "./duration-chart.tsx";
import { Differences } from "./differences.tsx";
import { FilterBar } from "./filter-bar.tsx";
import { TraceTable } from "./trace-table.tsx";

/** The API's cap on traces of one answer. */
const MAX_LIMIT = 1_000;

export function TracesView(): ReactNode {
	const { params } = useLocation();
	const filter = readFilter(params);
	const live = params.get("live") !== "off";
	const status = useStatus();
	const counted = countedSpans(params, filter);
	const brush = readBrush(params.get("brush"));
	const query = brush === undefined ? searchQuery(filter) : brushedQuery(filter, counted, brush);
	const traces = useTraces(query, live);
	const differences = differencesQuery(filter, counted, brush, params.get("compare") === "errors");
	const durations = useSpanDurations(durationsQuery(filter, counted), live && filter.edge === "" && filter.mtls === "");
	const [sawNothing, setSawNothing] = useState(false);
	useEffect(() => {
		document.title = "Traces · meshscope";
	}, []);
	useTracesKeys(params, live);

	const found = traces.data?.traces ?? [];
	const nothingYet =
		status.data !== undefined &&
		status.data.store.spans === 0 &&
		status.data.ingest.traces.acceptedRecords === 0 &&
		found.length === 0;
	useEffect(() => {
		if (nothingYet) setSawNothing(true);
	}, [nothingYet]);
	if (nothingYet && !isNarrowed(filter)) return <SetupView />;
	return (
		<div className="page">
			<div className="page-title">
				<h1>Traces</h1>
				<LiveButton params={params} live={live} lost={traces.isError} />
			</div>
			{sawNothing && found.length > 0 && <Notice tone="good">The first spans have arrived. Setup is done.</Notice>}
			<FilterBar params={params} filter={filter} />
			{traces.isError && <ErrorNotice error={traces.error} what="The traces could not be read." />}
			{durations.isError && !traces.isError && (
				<ErrorNotice error={durations.error} what="The durations could not be read." />
			)}
			{durations.data !== undefined && (
				<DurationChart params={params} filter={filter} counted={counted} answer={durations.data} />
			)}
			{differences !== undefined && <Differences params={params} query={differences} />}
			{traces.data !== undefined && (
				<>
					<div className="list-head">
						<Searched searched={traces.data.searched} found={found.length} filter={filter} />
						<ListTools
							params={params}
							traces={found}
							asOf={new Date(traces.dataUpdatedAt).toISOString().slice(0, 19)}
						/>
					</div>
					{found.length === 0 ? (
						<NoMatch filter={filter} params={params} />
					) : (
						<TraceTable traces={found} params={params} query={query} current={!traces.isPlaceholderData} />
					)}
					{found.length >= Number(filter.limit) && found.length < MAX_LIMIT && (
						<div>
							<Link
								className="button-link"
								href={hrefWith("/traces", params, { limit: String(Math.min(MAX_LIMIT, found.length * 2)) })}
							>
								Show more
							</Link>
						</div>
					)}
				</>
			)}
			{traces.isPending && !traces.isError && <p className="muted">Reading traces…</p>}
		</div>
	);
}

const EXPORTED: readonly Column<TraceSummary>[] = [
	{ key: "traceId", title: "Trace", value: ({ traceId }) => traceId },
	{ key: "start", title: "Start", value: ({ startTimeUnixNano }) => formatUtc(startTimeUnixNano) },
	{ key: "service", title: "Service", value: ({ rootService }) => rootService },
	{ key: "name", title: "Name", value: ({ rootName }) => rootName },
	{ key: "durationNs", title: "Duration", value: ({ durationNs }) => durationNs },
	{ key: "spans", title: "Spans", value: ({ spanCount }) => spanCount },
	{ key: "errors", title: "Errors", value: ({ errorCount }) => errorCount },
	{ key: "services", title: "Services", value: ({ services }) => services.join(" ") },
];

/** What can be done with the list: two of it compared, all of it saved. */
function ListTools(props: {
	readonly params: URLSearchParams;
	readonly traces: readonly TraceSummary[];
	/** Moment of the answer. */
	readonly asOf: string;
}): ReactNode {
	const { params, traces, asOf } = props;
	const [first, second] = pickedTraces(params);
	return (
		<div className="list-tools">
			{first !== undefined && (
				<>
					{second === undefined ? (
						<span className="muted">Choose another trace to compare with.</span>
					) : (
						<Link className="button-link" href={hrefWith(traceHref(first), new URLSearchParams(), { with: second })}>
							Compare the two
						</Link>
					)}
					<button
						type="button"
						onClick={() => navigate(hrefWith("/traces", params, { pick: undefined }), { replace: true })}
					>
						Choose none
					</button>
				</>
			)}
			{traces.length > 0 && <TableExports name="traces" title="Traces" columns={EXPORTED} rows={traces} asOf={asOf} />}
		</div>
	);
}

function toggleLive(params: URLSearchParams, live: boolean): void {
	navigate(hrefWith("/traces", params, { live: live ? "off" : undefined }), { replace: true });
}

function LiveButton(props: { readonly params: URLSearchParams; readonly live: boolean; readonly lost: boolean }): ReactNode {
	const { params, live, lost } = props;
	return (
		<span className="live">
			<span className={live && !lost ? "live-state live-on" : "live-state"} role="status">
				{!live ? "Paused" : lost ? "Trying again" : "Live, every 2 s"}
			</span>
			<button type="button" aria-keyshortcuts="p" onClick={() => toggleLive(params, live)}>
				<Icon name={live ? "pause" : "play"} />
				{live ? "Pause" : "Resume"}
			</button>
		</span>
	);
}

/** What was looked at, so that an empty or slow answer explains itself. */
function Searched(props: { readonly searched: SearchedInfo; readonly found: number; readonly filter: TraceFilter }): ReactNode {
	const { searched, found, filter } = props;
	const newest = found >= Number(filter.limit) ? "The newest " : "";
	return (
		<>
			<p className="searched muted" aria-live="off">
				{newest}
				{countOf(found, "trace")}. Searched {countOf(searched.windows, "window")}:{" "}
				{formatCount(searched.blocks - searched.blocksSkipped)} of {countOf(searched.blocks, "block")} read,{" "}
				{formatCount(searched.blocksSkipped)} skipped, {countOf(searched.spansScanned, "span")} compared.
				{searched.hops !== undefined && ` ${hopsText(searched.hops)}`}
			</p>
			{searched.truncated && (
				<Notice tone="warn">
					The search ran out of time before it had seen the whole range: older traces may be missing. Narrow the range,
					or add a service or an attribute.
				</Notice>
			)}
			<DamagedWindows names={searched.damagedWindows} />
		</>
	);
}

/** Where the graph counts no such call nothing was searched, which explains a quick empty answer. */
function hopsText({ rangeMs, skippedMs, tracesChecked }: NonNullable<SearchedInfo["hops"]>): string {
	const share = rangeMs > 0 ? Math.floor((100 * skippedMs) / rangeMs) : 0;
	const skipped = share > 0 ? ` ${share} % of the range was passed over: the graph counts no such call there.` : "";
	return `The calls of ${countOf(tracesChecked, "trace")} were looked at.${skipped}`;
}

function NoMatch({ filter, params }: { readonly filter: TraceFilter; readonly params: URLSearchParams }): ReactNode {
	return (
		<div className="card empty">
			<h2>{isNarrowed(filter) ? "No trace in this range meets every filter" : "No trace in this range"}</h2>
			<p className="muted">
				{isNarrowed(filter)
					? "All filters must hold on one and the same span. Service and operation are compared exactly."
					: "Nothing arrived in it. The list shows a new trace within two seconds."}
			</p>
			{(withoutEach(filter).length > 1 || params.has("brush")) && (
				<p className="empty-actions">
					{params.has("brush") && (
						<Link className="button-link" href={hrefWith("/traces", params, clearedChange(params))}>
							Clear the selection
						</Link>
					)}
					{withoutEach(filter).map(({ name, change }) => (
						<Link key={name} className="button-link" href={hrefWith("/traces", params, change)}>
							Without <bdi>{shorten(name, 60)}</bdi>
						</Link>
					))}
				</p>
			)}
			<p className="empty-actions">
				<Link className="button-link" href={hrefWith("/traces", params, { from: "now-24h", to: undefined })}>
					Search the last 24 hours
				</Link>
				{isNarrowed(filter) && (
					<Link
						className="button-link"
						href={hrefWith("/traces", new URLSearchParams(), { from: params.get("from") ?? undefined })}
					>
						Clear the filters
					</Link>
				)}
				<Link className="button-link" href="/setup">
					Set up a sender
				</Link>
			</p>
		</div>
	);
}

function useTracesKeys(params: URLSearchParams, live: boolean): void {
	useEffect(() => {
		const onKey = (event: KeyboardEvent): void => {
			if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
			if (event.key === "p") toggleLive(params, live);
			else if (event.key === "j" || event.key === "ArrowDown") moveFocus(event, 1);
			else if (event.key === "k" || event.key === "ArrowUp") moveFocus(event, -1);
		};
		window.addEventListener("keydown", onKey);
		return () => window.removeEventListener("keydown", onKey);
	}, [params, live]);
}

/** Moves the focus between the rows' links; from elsewhere, only `j` and `k` enter the list, arrows go on scrolling. */
function moveFocus(event: KeyboardEvent, step: 1 | -1): void {
	const links = [...document.querySelectorAll<HTMLAnchorElement>(".trace-table .root-link")];
	const at = links.indexOf(document.activeElement as HTMLAnchorElement);
	if (at < 0 && event.key.startsWith("Arrow")) return;
	const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + step))];
	if (next === undefined) return;
	event.preventDefault();
	next.focus();
}

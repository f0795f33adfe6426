/** Everything that is known of one span. Keys and values are the senders' and are shown as text only. */
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import type { LogEntry } from "../../../api/contract/logs.ts";
import { countOf, formatDuration, formatUtc, fromStart, serviceLabel, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { nanosOf, SPAN_KINDS, textOfValue, typeOfValue } from "../../base/otlp.ts";
import type { KeyValue, OtlpSpan } from "../../base/otlp.ts";
import { hrefWith, serviceHref, traceHref, useLocation } from "../../base/router.ts";
import { isTyping } from "../../base/typing.ts";
import { logTime } from "../../layout/trace/log-marks.ts";
import type { TracedCall } from "../../layout/trace/calls.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { CopyButton } from "../copy-button.tsx";
import { LongText } from "../long-text.tsx";
import { around } from "./around.ts";
import { CallDetail } from "./call-detail.tsx";
import { LogList } from "./trace-logs.tsx";
import { MARK_MEANINGS } from "./span-row.tsx";

interface SpanDetailProps {
	readonly waterfall: Waterfall;
	readonly row: number;
	readonly slots: readonly number[];
	/** The one that the span belongs to. */
	readonly call: TracedCall | undefined;
	/** Of the whole trace; the span's own are picked out. */
	readonly logs: readonly LogEntry[];
	/** By its time. */
	readonly chosenLog: string | undefined;
	readonly onGoTo: (row: number) => void;
	readonly onClose: () => void;
}

const STATUS_NAMES: readonly string[] = ["unset", "ok", "error"];

export function SpanDetail({ waterfall, row, slots, call, logs, chosenLog, onGoTo, onClose }: SpanDetailProps): ReactNode {
	const { path, params } = useLocation();
	const span = waterfall.spans[row]!;
	const service = waterfall.service[row]!;
	const source = waterfall.sources[waterfall.source[row]!]!;
	const marks = MARK_MEANINGS.filter(([mark]) => (waterfall.marks[row]! & mark) !== 0);
	const parent = waterfall.parent[row]!;
	useEffect(() => {
		const onKey = (event: KeyboardEvent): void => {
			if (event.key === "Escape" && !event.defaultPrevented && !isTyping(event.target)) onClose();
		};
		window.addEventListener("keydown", onKey);
		return () => window.removeEventListener("keydown", onKey);
	}, [onClose]);
	const own = logs.filter((log) => log.spanId !== "" && log.spanId === span.spanId);
	return (
		<aside className="detail" aria-label="Span details">
			<header className="detail-head">
				<div>
					<p className="detail-service">
						<span className={`swatch slot-${slots[service]}`} aria-hidden="true" />
						<Link
							href={serviceHref(waterfall.services[service]!, around(span.startTimeUnixNano) ?? {})}
							title="The service at that time"
						>
							<bdi>{serviceLabel(waterfall.services[service]!)}</bdi>
						</Link>
					</p>
					<h2 className="told">{shorten(span.name ?? "", 500)}</h2>
				</div>
				<button type="button" className="quiet" aria-label="Close the details" title="Close (Esc)" onClick={onClose}>
					<Icon name="close" />
				</button>
			</header>
			<dl className="detail-facts">
				<dt>Duration</dt>
				<dd>{formatDuration(waterfall.lengthNs[row]!)}</dd>
				<dt>Starts at</dt>
				<dd>
					{fromStart(waterfall.offsetNs[row]!)} <span className="muted tabular">{startText(span)}</span>
				</dd>
				<dt>Kind</dt>
				<dd>{SPAN_KINDS[span.kind ?? 0] ?? String(span.kind)}</dd>
				<dt>Status</dt>
				<dd>
					<span className={waterfall.failed[row] === 1 ? "failed" : undefined}>
						{STATUS_NAMES[span.status?.code ?? 0] ?? "unset"}
					</span>{" "}
					{(span.status?.message ?? "") !== "" && <LongText text={span.status!.message!} />}
				</dd>
				<dt>Span ID</dt>
				<dd>
					<span className="mono told">{shorten(span.spanId ?? "", 64)}</span>
					<CopyButton text={span.spanId ?? ""} label="Copy the span ID" />
				</dd>
				{(span.parentSpanId ?? "") !== "" && (
					<>
						<dt>Parent</dt>
						<dd>
							<span className="mono told">{shorten(span.parentSpanId ?? "", 64)}</span>{" "}
							{parent >= 0 && (
								<button type="button" className="quiet small" onClick={() => onGoTo(parent)}>
									Go there
								</button>
							)}
						</dd>
					</>
				)}
				{(span.traceState ?? "") !== "" && (
					<>
						<dt>Trace state</dt>
						<dd className="mono told">{shorten(span.traceState ?? "", 512)}</dd>
					</>
				)}
			</dl>
			{marks.map(([mark, name, meaning]) => (
				<p key={mark} className="detail-mark">
					<Icon name="alert" />
					<span>
						<strong>{name}.</strong> {meaning}
					</span>
				</p>
			))}
			{call !== undefined && <CallDetail waterfall={waterfall} call={call} row={row} onGoTo={onGoTo} />}
			<Attributes title="Attributes" attributes={span.attributes} dropped={span.droppedAttributesCount} open />
			<Events span={span} />
			<Links span={span} />
			{own.length > 0 && (
				<details open>
					<summary>Logs ({own.length})</summary>
					<LogList
						logs={own}
						waterfall={waterfall}
						slots={slots}
						chosen={chosenLog}
						isOfOne={own.every((log) => log.service === waterfall.services[service])}
						hrefOf={(log) => hrefWith(path, params, { tab: "logs", span: log.spanId, log: logTime(log) })}
					/>
				</details>
			)}
			<Attributes title="Resource" attributes={source.resource?.attributes} />
			<Attributes title={scopeTitle(source.scope?.name, source.scope?.version)} attributes={source.scope?.attributes} />
		</aside>
	);
}

function scopeTitle(name: string | undefined, version: string | undefined): string {
	if ((name ?? "") === "") return "Scope";
	return `Scope ${shorten(name!, 80)}${(version ?? "") === "" ? "" : ` ${shorten(version!, 40)}`}`;
}

function startText(span: OtlpSpan): string {
	const start = nanosOf(span.startTimeUnixNano);
	return start === 0n ? "" : formatUtc(String(start));
}

interface AttributesProps {
	readonly title: string;
	readonly attributes: readonly KeyValue[] | undefined;
	readonly dropped?: number | undefined;
	readonly open?: boolean;
}

/** More rows than this are shown on demand: a sender may attach ten thousand. */
const SHOWN_ATTRIBUTES = 200;

const NO_ATTRIBUTES: readonly KeyValue[] = [];

function Attributes({ title, attributes = NO_ATTRIBUTES, dropped, open = false }: AttributesProps): ReactNode {
	const [all, setAll] = useState(false);
	const shown = all ? attributes : attributes.slice(0, SHOWN_ATTRIBUTES);
	return (
		<details open={open}>
			<summary className="told">
				{title} ({attributes.length})
			</summary>
			{attributes.length > 0 && (
				<table className="pairs" aria-label={title}>
					<thead className="hidden-label">
						<tr>
							<th scope="col">Key</th>
							<th scope="col">Value</th>
						</tr>
					</thead>
					<tbody>
						{shown.map((attribute, index) => (
							<tr key={index}>
								<th scope="row" className="told">
									{shorten(attribute.key ?? "", 300)}
								</th>
								<td>
									<LongText text={textOfValue(attribute.value)} />
									{typeOfValue(attribute.value) !== "string" && (
										<span className="type">{typeOfValue(attribute.value)}</span>
									)}
								</td>
							</tr>
						))}
					</tbody>
				</table>
			)}
			{shown.length < attributes.length && (
				<button type="button" className="quiet small" onClick={() => setAll(true)}>
					Show all {attributes.length}
				</button>
			)}
			{(dropped ?? 0) > 0 && <p className="muted">{countOf(dropped!, "attribute")} dropped by the sender.</p>}
		</details>
	);
}

function Events({ span }: { readonly span: OtlpSpan }): ReactNode {
	const events = span.events ?? [];
	if (events.length === 0 && (span.droppedEventsCount ?? 0) === 0) return undefined;
	const start = nanosOf(span.startTimeUnixNano);
	return (
		<details open>
			<summary>Events ({events.length})</summary>
			<ol className="events">
				{events.slice(0, SHOWN_ATTRIBUTES).map((event, index) => (
					<li key={index}>
						<p>
							<span className="muted tabular">{fromStart(Number(nanosOf(event.timeUnixNano) - start))}</span>{" "}
							<strong className="told">{shorten(event.name ?? "")}</strong>
						</p>
						{(event.attributes ?? []).length > 0 && (
							<Attributes title="Attributes" attributes={event.attributes} open />
						)}
					</li>
				))}
			</ol>
			{events.length > SHOWN_ATTRIBUTES && <p className="muted">The JSON holds all {events.length}.</p>}
			{(span.droppedEventsCount ?? 0) > 0 && (
				<p className="muted">{countOf(span.droppedEventsCount!, "event")} dropped by the sender.</p>
			)}
		</details>
	);
}

function Links({ span }: { readonly span: OtlpSpan }): ReactNode {
	const links = span.links ?? [];
	if (links.length === 0) return undefined;
	return (
		<details open>
			<summary>Links ({links.length})</summary>
			<ol className="events">
				{links.slice(0, SHOWN_ATTRIBUTES).map((link, index) => (
					<li key={index}>
						<Link
							href={`${traceHref(link.traceId ?? "")}?span=${encodeURIComponent(link.spanId ?? "")}`}
							className="mono told"
						>
							{shorten(link.traceId ?? "", 64)} / {shorten(link.spanId ?? "", 64)}
						</Link>
						{(link.attributes ?? []).length > 0 && <Attributes title="Attributes" attributes={link.attributes} />}
					</li>
				))}
			</ol>
		</details>
	);
}

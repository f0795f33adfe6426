/** What is known of one edge, and from where: figures, their course, mTLS, and every statement that makes it an edge. */
import { useState } from "react";
import type { ReactNode } from "react";
import type { EdgeAnswer, GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { formatBytes, formatCount, formatUtcMs, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { tracesHref } from "../../base/router.ts";
import { rangeQuery } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import {
	asSlowAs,
	durationText,
	errorsText,
	evidenceSentence,
	FLAG_WORDS,
	msText,
	rateText,
	reporterText,
} from "../../data/graph-words.ts";
import { useEdge } from "../../data/queries.ts";
import { Fact } from "../fact.tsx";
import { ErrorNotice } from "../notice.tsx";
import { EdgeErrorCourse, EdgeLatencyCourse } from "./edge-course.tsx";
import { EdgeHead } from "./edge-head.tsx";
import { EdgeMtls } from "./edge-mtls.tsx";
import { LatencyHistogram } from "./latency-histogram.tsx";

interface EdgePanelProps {
	readonly id: string;
	readonly settings: GraphSettings;
	readonly live: boolean;
	readonly onClose: () => void;
}

export function EdgePanel({ id, settings, live, onClose }: EdgePanelProps): ReactNode {
	const answer = useEdge(id, rangeQuery(settings), live);
	const edge = answer.data?.edge;
	return (
		<aside className="graph-panel" aria-label="Edge details">
			<EdgeHead edge={edge} onClose={onClose} />
			{answer.isError && <ErrorNotice error={answer.error} what="The edge could not be read." />}
			{answer.isPending && !answer.isError && <p className="muted">Reading…</p>}
			{answer.data !== undefined && edge === undefined && (
				<p className="muted">Nothing was seen of this edge in the range.</p>
			)}
			{answer.data !== undefined && edge !== undefined && <Details answer={answer.data} edge={edge} settings={settings} />}
		</aside>
	);
}

interface DetailsProps {
	readonly answer: EdgeAnswer;
	readonly edge: GraphEdgeAnswer;
	readonly settings: GraphSettings;
}

function Details({ answer, edge, settings }: DetailsProps): ReactNode {
	return (
		<>
			<dl className="panel-figures">
				<Figure name={edge.unit === "requests" ? "Rate" : "Connections"} value={rateText(edge)} />
				<Figure name="Errors" value={errorsText(edge)} isBad={edge.errors > 0} />
				<Figure name="p95" value={msText(edge.latencyMs?.p95)} />
				<Figure name="mTLS" value={edge.mtls.percent === undefined ? "not known" : formatPercent(edge.mtls.percent)} />
			</dl>
			<Doubts edge={edge} />
			<TraceLinks edge={edge} settings={settings} />
			<EdgeMtls edge={edge} nowMs={Date.parse(answer.window.to)} />
			<Responses edge={edge} />
			{edge.errors > 0 && <EdgeErrorCourse id={edge.id} answer={answer} />}
			{edge.latencyMs !== undefined && (
				<section>
					<h3>
						Latency{" "}
						<span className="muted">
							as {edge.latencySide === "destination" ? "the callee" : "the caller"} measured it
						</span>
					</h3>
					<EdgeLatencyCourse id={edge.id} answer={answer} />
					<LatencyHistogram
						buckets={answer.histogram}
						hrefOf={({ aboveMs, upToMs }) =>
							tracesHref({
								...{ edge: edge.id, side: edge.latencySide, from: settings.from, to: settings.to },
								...{ minDuration: durationText(aboveMs, 1), maxDuration: durationText(upToMs) },
							})
						}
					/>
					<Gap edge={edge} />
				</section>
			)}
			<Why answer={answer} edge={edge} />
		</>
	);
}

function Figure({ name, value, isBad }: { readonly name: string; readonly value: string; readonly isBad?: boolean }): ReactNode {
	return (
		<div>
			<dt>{name}</dt>
			<dd className={isBad === true ? "failed" : undefined}>{value}</dd>
		</div>
	);
}

/** What the figures alone would hide. */
function Doubts({ edge }: { readonly edge: GraphEdgeAnswer }): ReactNode {
	const { disagreement, sampled, mtls } = edge;
	return (
		<>
			{disagreement !== undefined && (
				<div className="notice notice-warn">
					<Icon name="alert" />
					<div>
						<strong>The two ends disagree</strong> on the outcome of {formatCount(disagreement.count)} requests. The
						caller says {countsText(disagreement.source)}; the callee says {countsText(disagreement.destination)}.
					</div>
				</div>
			)}
			{mtls.failedHandshakes > 0 && (
				<div className="notice notice-error">
					<Icon name="alert" />
					<div>{formatCount(mtls.failedHandshakes)} TLS handshakes failed. No request came of them.</div>
				</div>
			)}
			{sampled && <p className="muted">~ The counts may be a sample: nothing says of how many.</p>}
		</>
	);
}

function countsText(counts: Readonly<Record<string, number>>): string {
	return Object.entries(counts)
		.map(([outcome, count]) => `${formatCount(count)} ${outcome.replaceAll("_", " ")}`)
		.join(", ");
}

function TraceLinks({ edge, settings }: { readonly edge: GraphEdgeAnswer; readonly settings: GraphSettings }): ReactNode {
	const href = (more: Readonly<Record<string, string>>): string =>
		tracesHref({ edge: edge.id, ...more, from: settings.from, to: settings.to });
	const side = edge.latencySide === undefined ? {} : { side: edge.latencySide };
	return (
		<p className="panel-links">
			<Link className="button-link" href={href({})}>
				Traces of this edge
			</Link>
			{edge.errors > 0 && (
				<Link className="button-link" href={href({ status: "error" })}>
					Failed
				</Link>
			)}
			{edge.latencyMs !== undefined && (
				<Link className="button-link" href={href({ ...side, minDuration: asSlowAs(edge.latencyMs.p95) })}>
					Slower than p95
				</Link>
			)}
			{edge.mtls.counts.plaintext > 0 && (
				<Link className="button-link" href={href({ mtls: "plaintext" })}>
					In plaintext
				</Link>
			)}
		</p>
	);
}

function Responses({ edge }: { readonly edge: GraphEdgeAnswer }): ReactNode {
	const total = edge.requests + edge.connections;
	return (
		<section>
			<h3>Responses</h3>
			<Shares title="Outcome" counts={edge.outcomes} total={total} />
			<Shares title="Code" counts={edge.codes} total={total} />
			<Shares title="Response flag" counts={edge.flags} total={total} words={FLAG_WORDS} />
			<p className="muted">
				{formatBytes(edge.bytes.sent)} sent, {formatBytes(edge.bytes.received)} received.
				{edge.attempts !== undefined &&
					edge.attempts.retries > 0 &&
					` ${formatCount(edge.attempts.retries)} retries of ${formatCount(edge.attempts.requests)} requests.`}
			</p>
		</section>
	);
}

interface SharesProps {
	readonly title: string;
	readonly counts: Readonly<Record<string, number>>;
	readonly total: number;
	readonly words?: Readonly<Record<string, string>>;
}

function Shares({ title, counts, total, words }: SharesProps): ReactNode {
	const rows = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
	if (rows.length === 0) return undefined;
	return (
		<table className="panel-table">
			<thead>
				<tr>
					<th scope="col">{title}</th>
					<th scope="col" className="number">
						Count
					</th>
					<th scope="col" className="number">
						Share
					</th>
				</tr>
			</thead>
			<tbody>
				{rows.map(([name, count]) => (
					<tr key={name}>
						<th scope="row" className="told">
							{shorten(name.replaceAll("_", " "), 60)}
							{words !== undefined && Object.hasOwn(words, name) && <span className="muted"> {words[name]}</span>}
						</th>
						<td className="number">{formatCount(count)}</td>
						<td className="number">{total === 0 ? "–" : formatPercent((100 * count) / total)}</td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

function Gap({ edge }: { readonly edge: GraphEdgeAnswer }): ReactNode {
	const { sourceLatencyMs, destinationLatencyMs, gapMs, hopTimeMs } = edge;
	if (sourceLatencyMs === undefined && destinationLatencyMs === undefined) return undefined;
	return (
		<dl className="panel-facts">
			<Fact name="Caller">{sideText(sourceLatencyMs)}</Fact>
			<Fact name="Callee">{sideText(destinationLatencyMs)}</Fact>
			<Fact name="Gap">
				{gapMs === undefined ? "only one end measured" : `${msText(gapMs)} between the means: network and proxies`}
			</Fact>
			{hopTimeMs !== undefined && (
				<Fact name="Within a hop">
					{msText(hopTimeMs.app)} in the app, {msText(hopTimeMs.proxy)} in proxies
				</Fact>
			)}
		</dl>
	);
}

function sideText(latency: GraphEdgeAnswer["latencyMs"]): string {
	if (latency === undefined) return "not measured";
	return `mean ${msText(latency.mean)}, p95 ${msText(latency.p95)}, p99 ${msText(latency.p99)}`;
}

/** More statements than anybody reads at once are folded. */
const SHOWN_STATEMENTS = 6;

function Why({ answer, edge }: { readonly answer: EdgeAnswer; readonly edge: GraphEdgeAnswer }): ReactNode {
	const [isWhole, setWhole] = useState(false);
	const rows = isWhole ? answer.evidence : answer.evidence.slice(0, SHOWN_STATEMENTS);
	const basis = Object.entries(edge.basis).map(([what, witness]) => `${what === "mtls" ? "mTLS" : what} by ${witness}`);
	return (
		<section>
			<h3>Why this edge is here</h3>
			<p>
				Its counts are those of {reporterText(edge.reporter)}
				{basis.length > 0 && <>: {basis.join(", ")}</>}.
			</p>
			<ul className="panel-why">
				{rows.map((row, index) => (
					<li key={`${row.series} ${index}`} className="told">
						{evidenceSentence(row)}
					</li>
				))}
			</ul>
			{answer.evidence.length > rows.length && (
				<button type="button" onClick={() => setWhole(true)}>
					Show all {formatCount(answer.evidence.length)} statements
				</button>
			)}
			{edge.firstSeen !== undefined && (
				<p className="muted">
					Seen from <time dateTime={edge.firstSeen}>{formatUtcMs(Date.parse(edge.firstSeen))}</time> to{" "}
					<time dateTime={edge.lastSeen}>{formatUtcMs(Date.parse(edge.lastSeen ?? edge.firstSeen))}</time>.
				</p>
			)}
		</section>
	);
}

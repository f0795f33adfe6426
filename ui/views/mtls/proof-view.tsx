/**
 * What an auditor takes away about one edge: whether it was encrypted in a window, between whom, how, and who says so. It is made to be
 * printed and to be kept beside its JSON, which holds every statement behind it.
 */
import type { ReactNode } from "react";
import type { EdgeAnswer, GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { saveFile } from "../../base/download.ts";
import { countOf, formatCount, formatUtcMs, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { edgeHref, hrefWith, traceHref, useLocation } from "../../base/router.ts";
import { evidenceSentence, verifiedText } from "../../data/graph-words.ts";
import { trafficOf } from "../../data/mtls-rows.ts";
import { MTLS_WORDS, REPORTER_WORDS } from "../../data/mtls-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";
import { proofOf, VERDICT_WORDS } from "../../data/proof.ts";
import { useEdge } from "../../data/queries.ts";
import { Fact } from "../fact.tsx";
import { Expiry, MtlsState, Names, Seen } from "../cells.tsx";
import { ErrorNotice } from "../notice.tsx";

interface ProofViewProps {
	readonly id: string;
	/** The API's own query string of the range. */
	readonly query: string;
}

export function ProofView({ id, query }: ProofViewProps): ReactNode {
	const { path, params } = useLocation();
	const answer = useEdge(id, query, false);
	const edge = answer.data?.edge;
	return (
		<>
			<p className="no-print">
				<Link href={hrefWith(path, params, { proof: undefined })}>All edges</Link>
			</p>
			{answer.isError && <ErrorNotice error={answer.error} what="The edge could not be read." />}
			{answer.isPending && <p className="muted">Reading…</p>}
			{answer.data !== undefined && edge === undefined && (
				<div className="card empty">
					<h2>Nothing was seen of this edge in the range</h2>
					<p className="muted">Of what was not seen nothing can be proven. Choose a longer range.</p>
				</div>
			)}
			{answer.data !== undefined && edge !== undefined && <Sheet answer={answer.data} edge={edge} />}
		</>
	);
}

function Sheet({ answer, edge }: { readonly answer: EdgeAnswer; readonly edge: GraphEdgeAnswer }): ReactNode {
	const { window } = answer;
	const endMs = Date.parse(window.to);
	const { verdict, sentence, reservations } = proofOf(edge, endMs);
	const save = (): void => {
		const kept = { verdict, sentence, reservations, address: globalThis.location.href, ...answer };
		const text = `${JSON.stringify(kept, undefined, "\t")}\n`;
		saveFile(`meshscope-proof-${edge.id}.json`, new Blob([text], { type: "application/json" }));
	};
	return (
		<article className="card proof" aria-labelledby="proof-title">
			<header className="proof-head">
				<h2 id="proof-title">
					<bdi className="told">{shorten(edge.source, 120)}</bdi> →{" "}
					<bdi className="told">{shorten(edge.target, 120)}</bdi>
				</h2>
				<div className="exports no-print">
					<button type="button" onClick={() => globalThis.print()}>
						Print
					</button>
					<button type="button" onClick={save}>
						<Icon name="download" />
						JSON
					</button>
					<Link className="button-link small-button" href={edgeHref(edge.id, window)}>
						In the graph
					</Link>
				</div>
			</header>
			<p className={`proof-verdict proof-${verdict}`}>
				<MtlsState status={edge.mtls.status} /> <strong>{VERDICT_WORDS[verdict]}</strong>
			</p>
			<p>{sentence}</p>
			{reservations.length > 0 && (
				<ul className="proof-reservations">
					{reservations.map((text) => (
						<li key={text}>{text}</li>
					))}
				</ul>
			)}
			<Facts answer={answer} edge={edge} endMs={endMs} />
			<Statements answer={answer} />
			<Traces answer={answer} />
			<p className="muted proof-foot">
				Told by meshscope from what proxies and services sent; edge {edge.id}. The same answer, with every figure, is at{" "}
				<code>/api/v1/edges/{edge.id}</code> for this range.
			</p>
		</article>
	);
}

interface FactsProps {
	readonly answer: EdgeAnswer;
	readonly edge: GraphEdgeAnswer;
	readonly endMs: number;
}

function Facts({ answer, edge, endMs }: FactsProps): ReactNode {
	const { mtls } = edge;
	const counts = (Object.entries(mtls.counts) as [MtlsStatus, number][]).filter(([, count]) => count > 0);
	return (
		<dl className="proof-facts">
			<Fact name="Window">
				{formatUtcMs(Date.parse(answer.window.from))} to {formatUtcMs(endMs)}
			</Fact>
			<Fact name="Traffic">
				{countOf(Math.round(trafficOf(edge)), edge.unit === "requests" ? "request" : "connection")} over {edge.protocol},{" "}
				{formatCount(Math.round(edge.observed))} observed
			</Fact>
			<Fact name="By encryption">
				{counts.map(([status, count]) => `${formatCount(count)} ${MTLS_WORDS[status]}`).join(", ") || "nothing"}
				{mtls.percent !== undefined && ` (${formatPercent(mtls.percent)} mutual TLS of what is known)`}
			</Fact>
			<Fact name="Caller’s identity">
				<Names texts={mtls.sourcePrincipals} none="not told" />
			</Fact>
			<Fact name="Callee’s identity">
				<Names texts={mtls.destinationPrincipals} none="not told" />
			</Fact>
			<Fact name="TLS version">
				<Names texts={mtls.tlsVersions} none="not told" />
			</Fact>
			<Fact name="Cipher">
				<Names texts={mtls.ciphers} none="not told" />
			</Fact>
			<Fact name="First certificate to expire">
				{mtls.certificateNotAfter === undefined ? (
					<span className="muted">not told</span>
				) : (
					<Expiry notAfter={mtls.certificateNotAfter} nowMs={endMs} />
				)}
			</Fact>
			<Fact name="Vouched for by">{verifiedText(edge)}</Fact>
			<Fact name="Reported by">
				{REPORTER_WORDS[edge.reporter]}
				{edge.basis.mtls !== undefined && `, in ${edge.basis.mtls}`}
			</Fact>
			<Fact name="Failed handshakes">{formatCount(mtls.failedHandshakes)}</Fact>
			<Fact name="First seen in the window">
				<Seen at={edge.firstSeen} nowMs={endMs} />
			</Fact>
			<Fact name="Last seen in the window">
				<Seen at={edge.lastSeen} nowMs={endMs} />
			</Fact>
		</dl>
	);
}

function Statements({ answer }: { readonly answer: EdgeAnswer }): ReactNode {
	return (
		<section>
			<h3>Statements it rests on</h3>
			<ul className="panel-why">
				{answer.evidence.map((row, i) => (
					<li key={`${row.series} ${i}`} className="told">
						{MTLS_WORDS[row.mtls.status]}: {evidenceSentence(row)}
						{row.mtls.sourcePrincipal !== "" && ` ${shorten(row.mtls.sourcePrincipal)} called.`}
						{row.mtls.destinationPrincipal !== "" && ` ${shorten(row.mtls.destinationPrincipal)} answered.`}
					</li>
				))}
			</ul>
		</section>
	);
}

const SHOWN_TRACES = 5;

function Traces({ answer }: { readonly answer: EdgeAnswer }): ReactNode {
	const samples = new Map(answer.histogram.flatMap(({ exemplars }) => exemplars).map((sample) => [sample.traceId, sample]));
	if (samples.size === 0) return undefined;
	return (
		<section>
			<h3>Traces that show it</h3>
			<ul className="names">
				{[...samples.values()].slice(0, SHOWN_TRACES).map(({ traceId, time }) => (
					<li key={traceId}>
						<Link className="mono" href={traceHref(traceId)}>
							{traceId}
						</Link>{" "}
						<span className="muted">{formatUtcMs(Date.parse(time))}</span>
					</li>
				))}
			</ul>
		</section>
	);
}

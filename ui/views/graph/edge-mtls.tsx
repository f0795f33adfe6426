/** Whether the edge is encrypted and who authenticated whom, with the count behind each word. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { formatCount, formatSpanOfTime, formatUtcMs, shorten } from "../../base/format.ts";
import { mtlsDoubt, verifiedText } from "../../data/graph-words.ts";
import { MTLS_WORDS } from "../../data/mtls-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";
import { Fact } from "../fact.tsx";

interface EdgeMtlsProps {
	readonly edge: GraphEdgeAnswer;
	/** End of the range that is shown: expiries are told from there. */
	readonly nowMs: number;
}

export function EdgeMtls({ edge, nowMs }: EdgeMtlsProps): ReactNode {
	const { mtls } = edge;
	const doubt = mtlsDoubt(edge);
	const counts = (Object.entries(mtls.counts) as [MtlsStatus, number][]).filter(([, count]) => count > 0);
	return (
		<section className="panel-mtls">
			<h3>mTLS</h3>
			<p>
				<strong className={`mtls-word mtls-${mtls.status}`}>{MTLS_WORDS[mtls.status]}</strong>
				{mtls.percent !== undefined && <>, {formatPercent(mtls.percent)} mutual TLS of what is known</>}
			</p>
			{doubt !== undefined && <p className="muted">{doubt}</p>}
			<dl className="panel-facts">
				<Fact name="Counted">
					{counts.map(([status, count]) => `${formatCount(count)} ${MTLS_WORDS[status]}`).join(", ") || "nothing"}
				</Fact>
				<Fact name="Caller">{list(mtls.sourcePrincipals)}</Fact>
				<Fact name="Callee">{list(mtls.destinationPrincipals)}</Fact>
				<Fact name="TLS version">{list(mtls.tlsVersions)}</Fact>
				<Fact name="Cipher">{list(mtls.ciphers)}</Fact>
				<Fact name="Certificate ends">
					{mtls.certificateNotAfter === undefined ? "not told" : expiryText(mtls.certificateNotAfter, nowMs)}
				</Fact>
				<Fact name="Vouched for by">{verifiedText(edge)}</Fact>
			</dl>
		</section>
	);
}

function list(values: readonly string[]): ReactNode {
	if (values.length === 0) return "not told";
	return values.map((value) => (
		<span key={value} className="mono panel-value">
			{shorten(value, 160)}
		</span>
	));
}

function expiryText(notAfter: string, nowMs: number): string {
	const seconds = (Date.parse(notAfter) - nowMs) / 1_000;
	const distance = formatSpanOfTime(Math.abs(seconds));
	return `${formatUtcMs(Date.parse(notAfter))} (${seconds >= 0 ? `in ${distance}` : `${distance} ago`})`;
}

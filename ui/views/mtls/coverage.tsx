/** Coverage in its three units, which are never added up: a connection may carry one request or a million. */
import type { ReactNode } from "react";
import type { MtlsAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { formatCount } from "../../base/format.ts";
import { knownCount } from "../../data/mtls-rows.ts";
import { MTLS_WORDS } from "../../data/mtls-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";

const UNITS = [
	["requests", "Requests"],
	["connections", "TCP connections"],
	["edges", "Edges"],
] as const;

const ORDER: readonly MtlsStatus[] = ["mutual_tls", "tls", "plaintext", "none", "mixed", "unknown"];

export function Coverage({ coverage }: { readonly coverage: MtlsAnswer["coverage"] }): ReactNode {
	return (
		<dl className="facts coverage" aria-label="Share of mutual TLS">
			{UNITS.map(([unit, title]) => (
				<CoverageCard key={unit} unit={unit} title={title} covered={coverage[unit]} />
			))}
		</dl>
	);
}

interface CoverageCardProps {
	readonly unit: keyof MtlsAnswer["coverage"];
	readonly title: string;
	readonly covered: MtlsAnswer["coverage"]["edges"];
}

function CoverageCard({ unit, title, covered }: CoverageCardProps): ReactNode {
	const { counts, percent } = covered;
	const known = knownCount(counts);
	return (
		<div className="fact card">
			<dt>{title}</dt>
			<dd className="fact-value">{percent === undefined ? "not known" : `${formatPercent(percent)} mutual TLS`}</dd>
			<dd className="fact-more muted">
				{known === 0
					? `No ${unit} whose encryption is known.`
					: `${formatCount(counts.mutual_tls)} of ${formatCount(known)} whose encryption is known`}
			</dd>
			<dd>
				<ul className="counts">
					{ORDER.filter((status) => counts[status] > 0).map((status) => (
						<li key={status}>
							<span className={`mtls-mark mtls-${status}`} aria-hidden="true" />
							{MTLS_WORDS[status]} <span className="number">{formatCount(counts[status])}</span>
						</li>
					))}
				</ul>
			</dd>
		</div>
	);
}

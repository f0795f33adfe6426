/** Is traffic encrypted, what is not, since when, and who says so. */
import { useEffect } from "react";
import type { ReactNode } from "react";
import { formatUtcMs } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import { useMtlsAudit } from "../../data/audit-queries.ts";
import type { MtlsAudit } from "../../data/audit-queries.ts";
import { auditRows } from "../../data/mtls-rows.ts";
import { RangeFields } from "../fields.tsx";
import { ErrorNotice } from "../notice.tsx";
import { Coverage } from "./coverage.tsx";
import { CoverageCourse } from "./coverage-course.tsx";
import { CertificateTable, HandshakeTable, IdentityTable } from "./identity-tables.tsx";
import { EncryptedTable, UnknownTable, UnprotectedTable } from "./edge-tables.tsx";
import { ProofView } from "./proof-view.tsx";

const DEFAULT_FROM = "now-1h";

export function MtlsView(): ReactNode {
	const { path, params } = useLocation();
	const from = params.get("from") ?? DEFAULT_FROM;
	const to = params.get("to") ?? "";
	const query = new URLSearchParams({ from, ...(to === "" ? {} : { to }) }).toString();
	const live = to === "";
	const proof = params.get("proof") ?? "";
	const audit = useMtlsAudit(query, live);
	useEffect(() => {
		document.title = "mTLS · meshscope";
	}, []);
	return (
		<div className="page">
			<h1>mTLS</h1>
			<section className="filters" aria-label="Time range">
				<RangeFields from={from} to={to} onApply={(change) => navigate(hrefWith(path, params, change))} />
			</section>
			{proof !== "" && <ProofView key={proof} id={proof} query={query} />}
			{proof === "" && <Overview audit={audit} query={query} live={live} />}
		</div>
	);
}

interface OverviewProps {
	readonly audit: ReturnType<typeof useMtlsAudit>;
	readonly query: string;
	readonly live: boolean;
}

function Overview({ audit, query, live }: OverviewProps): ReactNode {
	return (
		<>
			{audit.isError && <ErrorNotice error={audit.error} what="The encryption could not be read." />}
			{audit.isPending && <p className="muted">Reading…</p>}
			{audit.data !== undefined && (
				<div className="audit" aria-busy={audit.isPlaceholderData}>
					<Audit audit={audit.data} course={<CoverageCourse query={query} live={live} />} />
				</div>
			)}
		</>
	);
}

function Audit({ audit, course }: { readonly audit: MtlsAudit; readonly course: ReactNode }): ReactNode {
	const { mtls, graph } = audit;
	if (graph.edges.length === 0 && mtls.identities.length === 0 && mtls.certificates.length === 0) return <Nothing />;
	const rows = auditRows(audit);
	const { window } = mtls;
	const common = { window, nowMs: audit.readAtMs };
	return (
		<>
			<p className="muted as-of">
				From {formatUtcMs(Date.parse(window.from))} to {formatUtcMs(Date.parse(window.to))}
				{window.flushed !== undefined &&
					window.flushed < window.to &&
					`; what came after ${formatUtcMs(Date.parse(window.flushed))} is not counted yet`}
				.
			</p>
			<Coverage coverage={mtls.coverage} />
			{course}
			<UnprotectedTable
				name="plaintext"
				title="Not mutual TLS"
				note="Edges without any mutual TLS: plaintext, one-way TLS, and what a proxy calls only “not mutual”. Most traffic first."
				empty="None: no edge in this range is known to run without mutual TLS."
				mixed={false}
				rows={rows.plaintext}
				{...common}
			/>
			<UnprotectedTable
				name="mixed"
				title="Mixed"
				note="Edges that carry both, or whose two ends disagree. Most traffic first."
				empty="None: every edge whose encryption is known is all one or all the other."
				mixed
				rows={rows.mixed}
				{...common}
			/>
			<UnknownTable rows={rows.unknown} {...common} />
			<HandshakeTable rows={rows.handshakes} {...common} />
			<CertificateTable rows={mtls.certificates} {...common} />
			<IdentityTable rows={mtls.identities} {...common} />
			<EncryptedTable rows={rows.encrypted} {...common} />
		</>
	);
}

function Nothing(): ReactNode {
	return (
		<div className="card empty">
			<h2>No call between services in this range</h2>
			<p className="muted">
				Coverage is counted from spans, metrics and access logs of calls. Choose a longer range, or set up a sender.
			</p>
			<p className="empty-actions">
				<Link className="button-link" href="/mtls?from=now-24h">
					The last 24 hours
				</Link>
				<Link className="button-link" href="/setup">
					Set up a sender
				</Link>
			</p>
		</div>
	);
}

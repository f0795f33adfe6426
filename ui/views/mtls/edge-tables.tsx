/** Edges by what is known of their encryption. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer, MtlsAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { countOf, formatCount } from "../../base/format.ts";
import { tracesHref } from "../../base/router.ts";
import { knownCount, trafficOf, unprotectedCount } from "../../data/mtls-rows.ts";
import type { UnprotectedRow } from "../../data/mtls-rows.ts";
import { MTLS_WORDS, REPORTER_WORDS, VERIFIED_WORDS } from "../../data/mtls-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { Name, Names, Samples, Seen } from "../cells.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

export interface AuditTableProps<T> {
	readonly rows: readonly T[];
	readonly window: MtlsAnswer["window"];
	readonly nowMs: number;
}

interface UnprotectedTableProps extends AuditTableProps<UnprotectedRow> {
	readonly name: string;
	readonly title: string;
	readonly note: string;
	readonly empty: string;
}

function unprotectedColumns(nowMs: number, window: MtlsAnswer["window"]): readonly Column<UnprotectedRow>[] {
	return [
		{
			key: "source",
			title: "Caller",
			heads: true,
			value: ({ edge }) => edge.source,
			cell: ({ edge }) => <Name text={edge.source} />,
		},
		{ key: "target", title: "Callee", value: ({ edge }) => edge.target, cell: ({ edge }) => <Name text={edge.target} /> },
		{ key: "protocol", title: "Protocol", value: ({ edge }) => edge.protocol },
		{
			key: "status",
			title: "Encryption",
			value: ({ edge }) => edge.status,
			cell: ({ edge }) => <Status status={edge.status} />,
		},
		{
			key: "unprotected",
			title: "Not mutual TLS",
			number: true,
			value: ({ edge }) => unprotectedCount(edge.counts),
			cell: ({ edge }) => (
				<>
					{countOf(unprotectedCount(edge.counts), edge.unit === "requests" ? "request" : "connection")}
					<span className="beneath muted">of {formatCount(knownCount(edge.counts))} known</span>
				</>
			),
		},
		{
			key: "percent",
			title: "Mutual TLS",
			number: true,
			value: ({ edge }) => edge.percent,
			cell: ({ edge }) => (edge.percent === undefined ? "not known" : formatPercent(edge.percent)),
		},
		{
			key: "samples",
			title: "Traces",
			value: ({ edge }) => edge.samples.map(({ traceId }) => traceId).join(" "),
			cell: ({ edge }) => (
				<Samples
					samples={edge.samples}
					more={tracesHref({
						from: window.from,
						to: window.to,
						service: serviceOfNode(edge.source),
						mtls: edge.counts.plaintext > 0 || edge.status === "plaintext" ? "plaintext" : edge.status,
					})}
				/>
			),
		},
		{
			key: "firstSeen",
			title: "First seen",
			value: ({ edge }) => edge.firstSeen,
			cell: ({ edge }) => <Seen at={edge.firstSeen} nowMs={nowMs} />,
		},
		{
			key: "lastSeen",
			title: "Last seen",
			value: ({ edge }) => edge.lastSeen,
			cell: ({ edge }) => <Seen at={edge.lastSeen} nowMs={nowMs} />,
		},
		{
			key: "reporter",
			title: "Reported by",
			value: ({ told }) => told?.reporter,
			cell: ({ told, contradicted }) => (
				<>
					{told === undefined ? <span className="muted">not known</span> : REPORTER_WORDS[told.reporter]}
					{contradicted && <span className="beneath warned">contradicted by evidence as good</span>}
				</>
			),
		},
		...(["mutual_tls", "tls", "plaintext", "none", "mixed", "unknown"] as const).map((status): Column<UnprotectedRow> => ({
			key: status,
			title: MTLS_WORDS[status],
			exportOnly: true,
			value: ({ edge }) => edge.counts[status],
		})),
		{ key: "unit", title: "Unit", exportOnly: true, value: ({ edge }) => edge.unit },
		{ key: "verifiedBy", title: "Vouched for by", exportOnly: true, value: ({ verifiedBy }) => verifiedBy },
		{ key: "id", title: "Edge", exportOnly: true, value: ({ edge }) => edge.id },
	];
}

export function UnprotectedTable(props: UnprotectedTableProps): ReactNode {
	const { window, nowMs } = props;
	return <DataTable {...props} columns={unprotectedColumns(nowMs, window)} rowKey={({ edge }) => edge.id} asOf={window.to} />;
}

function Status({ status }: { readonly status: MtlsStatus }): ReactNode {
	return (
		<span className="status-cell">
			<span className={`mtls-mark mtls-${status}`} aria-hidden="true" />
			{MTLS_WORDS[status]}
		</span>
	);
}

const EDGE_COLUMNS: readonly Column<GraphEdgeAnswer>[] = [
	{ key: "source", title: "Caller", heads: true, value: (edge) => edge.source, cell: (edge) => <Name text={edge.source} /> },
	{ key: "target", title: "Callee", value: (edge) => edge.target, cell: (edge) => <Name text={edge.target} /> },
	{ key: "protocol", title: "Protocol", value: (edge) => edge.protocol },
	{ key: "count", title: "Traffic", number: true, value: trafficOf, cell: (edge) => <Traffic edge={edge} /> },
	{ key: "unit", title: "Unit", exportOnly: true, value: (edge) => edge.unit },
	{ key: "reporter", title: "Reported by", value: (edge) => edge.reporter, cell: (edge) => REPORTER_WORDS[edge.reporter] },
];

export function Traffic({ edge }: { readonly edge: GraphEdgeAnswer }): ReactNode {
	return countOf(trafficOf(edge), edge.unit === "requests" ? "request" : "connection");
}

function seenColumns(nowMs: number): readonly Column<GraphEdgeAnswer>[] {
	return [
		{
			key: "firstSeen",
			title: "First seen",
			value: (edge) => edge.firstSeen,
			cell: (edge) => <Seen at={edge.firstSeen} nowMs={nowMs} />,
		},
		{
			key: "lastSeen",
			title: "Last seen",
			value: (edge) => edge.lastSeen,
			cell: (edge) => <Seen at={edge.lastSeen} nowMs={nowMs} />,
		},
		{ key: "id", title: "Edge", exportOnly: true, value: (edge) => edge.id },
	];
}

export function UnknownTable({ rows, window, nowMs }: AuditTableProps<GraphEdgeAnswer>): ReactNode {
	return (
		<DataTable
			name="unknown"
			title="Not known"
			note="Edges of whose encryption nobody said anything: they count neither for nor against. A sidecar or its access log at one end would tell."
			empty="None: something is known of every edge."
			columns={[...EDGE_COLUMNS, ...seenColumns(nowMs)]}
			rows={rows}
			rowKey={(edge) => edge.id}
			asOf={window.to}
		/>
	);
}

function encryptedColumns(nowMs: number): readonly Column<GraphEdgeAnswer>[] {
	return [
		...EDGE_COLUMNS,
		{
			key: "sourcePrincipals",
			title: "Caller’s identity",
			value: (edge) => edge.mtls.sourcePrincipals.join(" "),
			cell: (edge) => <Names texts={edge.mtls.sourcePrincipals} none="not told" />,
		},
		{
			key: "destinationPrincipals",
			title: "Callee’s identity",
			value: (edge) => edge.mtls.destinationPrincipals.join(" "),
			cell: (edge) => <Names texts={edge.mtls.destinationPrincipals} none="not told" />,
		},
		{
			key: "tls",
			title: "TLS",
			value: (edge) => [...edge.mtls.tlsVersions, ...edge.mtls.ciphers].join(" "),
			cell: (edge) => <Names texts={[...edge.mtls.tlsVersions, ...edge.mtls.ciphers]} none="not told" />,
		},
		{
			key: "verifiedBy",
			title: "Vouched for by",
			value: (edge) => edge.mtls.verifiedBy,
			cell: (edge) => VERIFIED_WORDS[edge.mtls.verifiedBy],
		},
		...seenColumns(nowMs),
	];
}

export function EncryptedTable({ rows, window, nowMs }: AuditTableProps<GraphEdgeAnswer>): ReactNode {
	return (
		<DataTable
			name="encrypted"
			title="Mutual TLS throughout"
			note="Edges all of whose known traffic has mutual TLS, with both identities and the weakest word that is relied on. Most traffic first."
			empty="None: no edge in this range is all mutual TLS."
			columns={encryptedColumns(nowMs)}
			rows={rows}
			rowKey={(edge) => edge.id}
			asOf={window.to}
		/>
	);
}

/** Edges by what is known of their encryption. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer, MtlsAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { countOf, formatCount } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { edgeHref, hrefWith, tracesHref } from "../../base/router.ts";
import { knownCount, trafficOf, unprotectedCount } from "../../data/mtls-rows.ts";
import type { UnprotectedRow } from "../../data/mtls-rows.ts";
import { MTLS_WORDS, REPORTER_WORDS } from "../../data/mtls-words.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { agoText, MtlsState, Samples, Seen, Names } from "../cells.tsx";
import { expiryColumn, exportColumn, seenColumn, serviceColumn, verifiedColumn } from "../columns.tsx";
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
	/** Some of it is mutual TLS: then how much is shown. */
	readonly mixed: boolean;
}

function unprotectedColumns({
	nowMs,
	window,
	mixed,
}: Pick<UnprotectedTableProps, "nowMs" | "window" | "mixed">): readonly Column<UnprotectedRow>[] {
	return [
		...endColumns<UnprotectedRow>(({ edge }) => edge, window),
		exportColumn("protocol", ({ edge }) => edge.protocol),
		{
			key: "status",
			title: "Encryption",
			value: ({ edge }) => edge.status,
			cell: ({ edge }) => <MtlsState status={edge.status} />,
		},
		{
			key: "unprotected",
			title: "Not mutual TLS",
			number: true,
			value: ({ edge }) => unprotectedCount(edge.counts),
			cell: ({ edge }) => (
				<>
					{countOf(unprotectedCount(edge.counts), unitsOf(edge).slice(0, -1))}
					<span className="beneath muted">of {formatCount(knownCount(edge.counts))} known</span>
				</>
			),
		},
		{
			key: "percent",
			title: "Mutual TLS",
			number: true,
			exportOnly: !mixed,
			value: ({ edge }) => edge.percent,
			cell: ({ edge }) => (edge.percent === undefined ? "not known" : formatPercent(edge.percent)),
		},
		{
			key: "samples",
			title: "Evidence",
			value: ({ edge }) => edge.samples.map(({ traceId }) => traceId).join(" "),
			cell: ({ edge }) => (
				<Samples
					samples={edge.samples}
					edge={edgeHref(edge.id, window)}
					more={tracesHref({
						from: window.from,
						to: window.to,
						service: serviceOfNode(edge.source),
						mtls: edge.counts.plaintext > 0 || edge.status === "plaintext" ? "plaintext" : edge.status,
					})}
				>
					<ProofLink id={edge.id} window={window} />
				</Samples>
			),
		},
		momentColumn("firstSeen", "Began", ({ edge }) => [edge.id, edge.firstSeen], { window, nowMs }),
		momentColumn("lastSeen", "Last seen", ({ edge }) => [edge.id, edge.lastSeen], { window, nowMs }),
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
		exportColumn("unit", ({ edge }) => edge.unit),
		exportColumn("verifiedBy", ({ verifiedBy }) => verifiedBy),
		exportColumn("id", ({ edge }) => edge.id),
	];
}

/** `grpc requests`, `tcp connections`. */
function unitsOf({ protocol, unit }: Pick<GraphEdgeAnswer, "protocol" | "unit">): string {
	return protocol === "unknown" ? unit : `${protocol} ${unit}`;
}

export function UnprotectedTable(props: UnprotectedTableProps): ReactNode {
	const { window } = props;
	return <DataTable {...props} columns={unprotectedColumns(props)} rowKey={({ edge }) => edge.id} asOf={window.to} />;
}

const AROUND_MS = 60_000;

/** A moment of an edge, with the way to the graph as it was then. */
function momentColumn<T>(
	key: "firstSeen" | "lastSeen",
	title: string,
	read: (row: T) => readonly [id: string, at: string | undefined],
	{ window, nowMs }: Pick<AuditTableProps<T>, "window" | "nowMs">,
): Column<T> {
	// What was seen in the first bucket of the range most likely was there before it.
	const beganMs = Date.parse(window.from) + Math.max(window.resolutionMs, AROUND_MS);
	return {
		key,
		title,
		value: (row) => read(row)[1],
		cell: (row) => {
			const [id, at] = read(row);
			if (at === undefined) return <Seen at={at} nowMs={nowMs} />;
			const atMs = Date.parse(at);
			const [from, to] = [atMs - AROUND_MS, atMs + AROUND_MS].map((ms) => new Date(ms).toISOString()) as [string, string];
			return (
				<>
					<Link href={edgeHref(id, { from, to })}>
						<Seen at={at} nowMs={nowMs} />
					</Link>
					{key === "firstSeen" && atMs < beganMs && <span className="beneath warned">or before this range</span>}
				</>
			);
		},
	};
}

/** What an auditor takes away of an edge. */
function ProofLink({ id, window }: { readonly id: string; readonly window: MtlsAnswer["window"] }): ReactNode {
	return (
		<Link
			href={hrefWith("/mtls", new URLSearchParams({ proof: id }), { from: window.from, to: window.to })}
			title="To print or keep"
		>
			Proof
		</Link>
	);
}

function edgeColumns(window: MtlsAnswer["window"]): readonly Column<GraphEdgeAnswer>[] {
	return [
		...endColumns<GraphEdgeAnswer>((edge) => edge, window),
		{ key: "protocol", title: "Protocol", value: (edge) => edge.protocol },
		trafficColumn("count"),
		exportColumn("unit", (edge) => edge.unit),
		{
			key: "reporter",
			title: "Reported by",
			value: (edge) => edge.reporter,
			cell: (edge) => REPORTER_WORDS[edge.reporter],
		},
	];
}

export function trafficColumn(key: string): Column<GraphEdgeAnswer> {
	const cell = (edge: GraphEdgeAnswer): string => countOf(trafficOf(edge), edge.unit === "requests" ? "request" : "connection");
	return { key, title: "Traffic", number: true, value: trafficOf, cell };
}

/** Who calls whom, each with the way to its page. */
export function endColumns<T>(
	read: (row: T) => Pick<GraphEdgeAnswer, "source" | "target">,
	window: MtlsAnswer["window"],
): readonly Column<T>[] {
	return [
		serviceColumn("source", "Caller", (row) => read(row).source, window, { heads: true }),
		serviceColumn("target", "Callee", (row) => read(row).target, window),
	];
}

function seenColumns(nowMs: number): readonly Column<GraphEdgeAnswer>[] {
	return [
		seenColumn("firstSeen", "First seen", (edge) => edge.firstSeen, nowMs),
		seenColumn("lastSeen", "Last seen", (edge) => edge.lastSeen, nowMs),
		exportColumn("id", (edge) => edge.id),
	];
}

export function UnknownTable({ rows, window, nowMs }: AuditTableProps<GraphEdgeAnswer>): ReactNode {
	return (
		<DataTable
			name="unknown"
			title="Not known"
			note="Edges of whose encryption nobody said anything: they count neither for nor against. A sidecar or its access log at one end would tell."
			empty="None: something is known of every edge."
			columns={[...edgeColumns(window), ...seenColumns(nowMs)]}
			rows={rows}
			rowKey={(edge) => edge.id}
			asOf={window.to}
		/>
	);
}

function encryptedColumns({
	nowMs,
	window,
}: Pick<AuditTableProps<unknown>, "nowMs" | "window">): readonly Column<GraphEdgeAnswer>[] {
	return [
		...endColumns<GraphEdgeAnswer>((edge) => edge, window),
		exportColumn("protocol", (edge) => edge.protocol),
		{
			...trafficColumn("count"),
			cell: (edge) => (
				<>
					{formatCount(trafficOf(edge))}
					<span className="beneath muted">{unitsOf(edge)}</span>
				</>
			),
		},
		exportColumn("unit", (edge) => edge.unit),
		exportColumn("reporter", (edge) => edge.reporter),
		{
			key: "sourcePrincipals",
			title: "Identities, the caller’s first",
			value: (edge) => edge.mtls.sourcePrincipals.join(" "),
			cell: ({ mtls }) => (
				<div className="beneath">
					<Names texts={mtls.sourcePrincipals} none="not told" />
					<Names texts={mtls.destinationPrincipals} none="not told" />
				</div>
			),
		},
		exportColumn("destinationPrincipals", (edge) => edge.mtls.destinationPrincipals.join(" ")),
		{
			key: "tls",
			title: "TLS",
			value: ({ mtls }) => [...mtls.tlsVersions, ...mtls.ciphers].join(" "),
			cell: ({ mtls }) => (
				<>
					<Names texts={mtls.tlsVersions} none="not told" />
					{mtls.ciphers.length > 0 && (
						<div className="beneath">
							<Names texts={mtls.ciphers} />
						</div>
					)}
				</>
			),
		},
		verifiedColumn(
			(edge) => edge.mtls.verifiedBy,
			(edge) => (
				<>
					<span className="beneath muted">reported by {REPORTER_WORDS[edge.reporter]}</span>
					<ProofLink id={edge.id} window={window} />
				</>
			),
		),
		expiryColumn("certificateNotAfter", "Certificate", (edge) => edge.mtls.certificateNotAfter, { nowMs }),
		exportColumn("firstSeen", (edge) => edge.firstSeen),
		{
			...seenColumn<GraphEdgeAnswer>("lastSeen", "Last seen", (edge) => edge.lastSeen, nowMs),
			cell: ({ firstSeen, lastSeen }) => (
				<>
					<Seen at={lastSeen} nowMs={nowMs} />
					{firstSeen !== undefined && (
						<span className="beneath muted">first {agoText(Date.parse(firstSeen), nowMs)}</span>
					)}
				</>
			),
		},
		exportColumn("id", (edge) => edge.id),
	];
}

export function EncryptedTable({ rows, window, nowMs }: AuditTableProps<GraphEdgeAnswer>): ReactNode {
	return (
		<DataTable
			name="encrypted"
			title="Mutual TLS throughout"
			note="Edges all of whose known traffic has mutual TLS, with both identities and the weakest word that is relied on. Most traffic first."
			empty="None: no edge in this range is all mutual TLS."
			columns={encryptedColumns({ nowMs, window })}
			rows={rows}
			rowKey={(edge) => edge.id}
			asOf={window.to}
		/>
	);
}

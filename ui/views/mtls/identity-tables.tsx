/** Who proved to be whom, with which certificates, and where proving failed. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer, MtlsAnswer } from "../../../api/contract/topology.ts";
import { formatCount } from "../../base/format.ts";
import { Names } from "../cells.tsx";
import { expiryColumn, exportColumn, nameColumn, namesColumn, seenColumn, serviceColumn, verifiedColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";
import { endColumns, trafficColumn } from "./edge-tables.tsx";
import type { AuditTableProps } from "./edge-tables.tsx";

type Identity = MtlsAnswer["identities"][number];
type Certificate = MtlsAnswer["certificates"][number];

function identityColumns({ nowMs, window }: Pick<AuditTableProps<unknown>, "nowMs" | "window">): readonly Column<Identity>[] {
	return [
		serviceColumn("service", "Service", (row) => row.service, window, { heads: true }),
		nameColumn("principal", "Identity", (row) => row.principal),
		{
			key: "role",
			title: "Shown as",
			value: (row) => [row.asSource && "caller", row.asDestination && "callee"].filter(Boolean).join(" and "),
		},
		verifiedColumn((row) => row.verifiedBy),
		seenColumn("firstSeen", "First seen", (row) => row.firstSeen, nowMs),
		seenColumn("lastSeen", "Last seen", (row) => row.lastSeen, nowMs),
	];
}

export function IdentityTable({ rows, window, nowMs }: AuditTableProps<Identity>): ReactNode {
	return (
		<DataTable
			name="identities"
			title="Identities"
			note="Which identity each service showed. A service with several, or an identity of several services, is worth a look."
			empty="None was seen: identities come from proxies' spans, metrics and access logs."
			columns={identityColumns({ nowMs, window })}
			rows={rows}
			rowKey={(row) => `${row.service}\n${row.principal}`}
			asOf={window.to}
		/>
	);
}

function certificateColumns(nowMs: number): readonly Column<Certificate>[] {
	return [
		nameColumn("principal", "Identity", (row) => row.principal, { heads: true }),
		expiryColumn("notAfter", "Expires", (row) => row.notAfter, { nowMs }),
		nameColumn("issuer", "Issuer", (row) => row.issuer, { none: "not told" }),
		namesColumn("services", "Shown by", (row) => row.services),
		seenColumn("lastSeen", "Last seen", (row) => row.lastSeen, nowMs),
	];
}

export function CertificateTable({ rows, window, nowMs }: AuditTableProps<Certificate>): ReactNode {
	return (
		<DataTable
			name="certificates"
			title="Certificates in use"
			note="The first to expire first. Those with less than an hour left are marked: leaves of a day are renewed hours before."
			empty="None was seen: expiries come from proxies that report their certificates."
			columns={certificateColumns(nowMs)}
			rows={rows}
			rowKey={(row) => `${row.principal}\n${row.issuer}\n${row.notAfter}`}
			asOf={window.to}
		/>
	);
}

function handshakeColumns({
	nowMs,
	window,
}: Pick<AuditTableProps<unknown>, "nowMs" | "window">): readonly Column<GraphEdgeAnswer>[] {
	return [
		...endColumns<GraphEdgeAnswer>((edge) => edge, window),
		{
			key: "failedHandshakes",
			title: "Failed handshakes",
			number: true,
			value: (edge) => edge.mtls.failedHandshakes,
			cell: (edge) => <span className="failed">{formatCount(edge.mtls.failedHandshakes)}</span>,
		},
		trafficColumn("traffic"),
		{
			key: "flags",
			title: "Response flags",
			value: (edge) => Object.keys(edge.flags).join(" "),
			cell: (edge) => <Names texts={Object.entries(edge.flags).map(([flag, count]) => `${flag} ${formatCount(count)}`)} />,
		},
		seenColumn("lastSeen", "Last seen", (edge) => edge.lastSeen, nowMs),
		exportColumn("id", (edge) => edge.id),
	];
}

export function HandshakeTable({ rows, window, nowMs }: AuditTableProps<GraphEdgeAnswer>): ReactNode {
	return (
		<DataTable
			name="handshakes"
			title="Failed handshakes"
			note="Edges whose TLS handshakes failed: a certificate that ran out or is not trusted, or a caller in plaintext where mutual TLS is demanded."
			empty="None: no handshake failed in this range, as far as proxies told."
			columns={handshakeColumns({ nowMs, window })}
			rows={rows}
			rowKey={(edge) => edge.id}
			asOf={window.to}
		/>
	);
}

/** Members of the mesh and what proves who they are. */
import type { ReactNode } from "react";
import type { MeshAnswer } from "../../../api/contract/mesh.ts";
import { formatCount, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import type { MeshPicture } from "../../data/audit-queries.ts";
import { Name, Names, Seen } from "../cells.tsx";
import { expiryColumn, exportColumn, nameColumn, namesColumn, seenColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

interface MeshTableProps<T> {
	readonly rows: readonly T[];
	readonly nowMs: number;
	readonly asOf: string;
}

type Service = MeshPicture["services"][number];
type Instance = MeshPicture["instances"][number];
type Proxy = MeshPicture["proxies"][number];
type Certificate = MeshPicture["certificates"][number];
type Root = MeshAnswer["roots"][number];

function serviceColumns(): readonly Column<Service>[] {
	return [
		nameColumn("service", "Service", (row) => row.service, { heads: true }),
		nameColumn("namespace", "Namespace", (row) => row.namespace),
		{
			key: "healthy",
			title: "Healthy",
			value: (row) => row.instances.healthy,
			rank: (row) => row.instances.healthy - row.instances.total,
			cell: (row) => (
				<Health ok={row.instances.healthy === row.instances.total}>
					{formatCount(row.instances.healthy)} of {formatCount(row.instances.total)}
				</Health>
			),
		},
		exportColumn("instances", (row) => row.instances.total),
		{
			key: "ports",
			title: "Ports",
			value: (row) => row.ports.map(({ servicePort, protocol }) => `${servicePort}/${protocol}`).join(" "),
		},
		namesColumn("principals", "Identities", (row) => row.principals),
	];
}

export function ServiceTable({ rows, asOf }: MeshTableProps<Service>): ReactNode {
	return (
		<DataTable
			name="services"
			title="Services"
			note="What callers can name."
			empty="None: a service appears when its first proxy connects."
			columns={serviceColumns()}
			rows={rows}
			rowKey={(row) => `${row.namespace}/${row.service}`}
			asOf={asOf}
		/>
	);
}

function Health({ ok, children }: { readonly ok: boolean; readonly children: ReactNode }): ReactNode {
	return (
		<span className={ok ? "health health-ok" : "health health-bad"}>
			<Icon name={ok ? "check" : "alert"} />
			<span>{children}</span>
		</span>
	);
}

function instanceColumns(nowMs: number): readonly Column<Instance>[] {
	return [
		nameColumn("instanceId", "Instance", (row) => row.instanceId, { heads: true }),
		nameColumn("service", "Service", (row) => row.service, { none: "none, a client" }),
		nameColumn("workload", "Workload", (row) => row.workload),
		nameColumn("version", "Version", (row) => row.version),
		{
			key: "health",
			title: "Health",
			value: (row) => (row.healthy ? "healthy" : row.healthReason),
			rank: (row) => Number(row.healthy),
			cell: (row) => (
				<Health ok={row.healthy}>{row.healthy ? "healthy" : <Name text={row.healthReason} none="not healthy" />}</Health>
			),
		},
		{
			key: "presence",
			title: "Connection",
			value: (row) => row.presence,
			cell: (row) => (row.presence === "connected" ? "connected" : <span className="warned">lost</span>),
		},
		{
			key: "endpoints",
			title: "Addresses",
			value: (row) => row.endpoints.map(({ address, port }) => `${address}:${port}`).join(" "),
			cell: (row) => (
				<Names texts={row.endpoints.map(({ servicePort, address, port }) => `${servicePort} at ${address}:${port}`)} />
			),
		},
		seenColumn("registered", "Registered", (row) => row.registered, nowMs),
	];
}

export function InstanceTable({ rows, nowMs, asOf }: MeshTableProps<Instance>): ReactNode {
	return (
		<DataTable
			name="instances"
			title="Instances"
			note="Every member, with its health as its own proxy checks it. A lost one has time to come back before it is dropped."
			empty="None: an instance appears when its proxy connects."
			columns={instanceColumns(nowMs)}
			rows={rows}
			rowKey={(row) => row.instanceId}
			asOf={asOf}
		/>
	);
}

function proxyColumns(nowMs: number, version: string): readonly Column<Proxy>[] {
	return [
		nameColumn("instanceId", "Proxy of", (row) => row.instanceId, { heads: true }),
		{
			key: "policy",
			title: "Policy",
			value: (row) => policyState(row),
			rank: (row) => (row.nack === undefined ? (row.inSync ? 2 : 1) : 0),
			cell: (row) => (
				<Health ok={row.inSync && row.nack === undefined}>
					{POLICY_WORDS[policyState(row)]}
					{row.nack !== undefined && ` version ${shorten(row.nack.version, 20)}`}
				</Health>
			),
		},
		{
			key: "policyVersion",
			title: "Runs version",
			value: (row) => row.policyVersion,
			cell: (row) => (
				<>
					<Name text={row.policyVersion} />
					{!row.inSync && version !== "" && <span className="beneath muted">{shorten(version, 20)} is in force</span>}
				</>
			),
		},
		{
			key: "connectedSince",
			title: "Connected since",
			value: (row) => row.connectedSince,
			cell: (row) =>
				row.connectedSince === undefined ? (
					<span className="warned">not connected</span>
				) : (
					<Seen at={row.connectedSince} nowMs={nowMs} />
				),
		},
		nameColumn("principal", "Identity", (row) => row.principal),
		{ key: "remoteAddress", title: "Address", value: (row) => row.remoteAddress },
		nameColumn("proxyVersion", "Release", (row) => row.proxyVersion),
		{ key: "bundleSequence", title: "Trust bundle", number: true, value: (row) => row.bundleSequence },
	];
}

export function ProxyTable({ rows, version, nowMs, asOf }: MeshTableProps<Proxy> & { readonly version: string }): ReactNode {
	return (
		<DataTable
			name="proxies"
			title="Proxies"
			note="Which policy each runs: acknowledged, refused, or behind."
			empty="None is connected. A proxy joins with a token: meshscope control token --identity spiffe://…"
			columns={proxyColumns(nowMs, version)}
			rows={rows}
			rowKey={(row) => row.instanceId}
			asOf={asOf}
		/>
	);
}

const POLICY_WORDS = { acknowledged: "in sync", refused: "refused", behind: "behind" } as const;

function policyState({ nack, inSync }: Proxy): keyof typeof POLICY_WORDS {
	return nack !== undefined ? "refused" : inSync ? "acknowledged" : "behind";
}

function certificateColumns(nowMs: number): readonly Column<Certificate>[] {
	return [
		nameColumn("principal", "Identity", (row) => row.principal, { heads: true }),
		nameColumn("instanceId", "Instance", (row) => row.instanceId, { none: "the control plane" }),
		expiryColumn("notAfter", "Expires", (row) => row.notAfter, { nowMs, notBefore: (row) => row.notBefore }),
		seenColumn("notBefore", "Issued", (row) => row.notBefore, nowMs),
		{ key: "serial", title: "Serial", value: (row) => row.serial, cell: (row) => <Digest hex={row.serial} /> },
		{ key: "rootSha256", title: "Root", value: (row) => row.rootSha256, cell: (row) => <Digest hex={row.rootSha256} /> },
	];
}

export function CertificateTable({ rows, nowMs, asOf }: MeshTableProps<Certificate>): ReactNode {
	return (
		<DataTable
			name="certificates"
			title="Certificates"
			note="The first to expire first. Each is renewed at half of its life; one with less than a sixth left was not, and is marked."
			empty="None was issued yet."
			columns={certificateColumns(nowMs)}
			rows={rows}
			rowKey={(row) => row.serial}
			asOf={asOf}
		/>
	);
}

/** Enough of a digest to tell two apart; all of it beneath the pointer and in the exports. */
function Digest({ hex }: { readonly hex: string }): ReactNode {
	return (
		<span className="mono" title={shorten(hex)}>
			{shorten(hex, 12)}
		</span>
	);
}

const STAGES = {
	active: "signs",
	incoming: "trusted, does not sign yet",
	retiring: "trusted, signs no more",
} as const;

function rootColumns(nowMs: number): readonly Column<Root>[] {
	return [
		{ key: "sha256", title: "Root", heads: true, value: (row) => row.sha256, cell: (row) => <Digest hex={row.sha256} /> },
		{ key: "stage", title: "Stage", value: (row) => row.stage, cell: (row) => `${row.stage}: ${STAGES[row.stage]}` },
		expiryColumn("notAfter", "Expires", (row) => row.notAfter, { nowMs, notBefore: (row) => row.notBefore }),
		expiryColumn("dropAt", "Dropped", (row) => row.dropAt, { nowMs, none: "not planned" }),
	];
}

export function RootTable({ rows, nowMs, asOf }: MeshTableProps<Root>): ReactNode {
	return (
		<DataTable
			name="roots"
			title="Roots"
			note="What the mesh trusts. A new root is trusted everywhere before it signs; an old one is dropped when no leaf of it is left."
			empty="None."
			columns={rootColumns(nowMs)}
			rows={rows}
			rowKey={(row) => row.sha256}
			asOf={asOf}
		/>
	);
}

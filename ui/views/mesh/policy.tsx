/** The policy in force, and what was refused with the place of each fault. */
import type { ReactNode } from "react";
import type { MeshPolicyAnswer } from "../../../api/contract/mesh.ts";
import { countOf, formatUtcMs, shorten, visible } from "../../base/format.ts";
import type { MeshPicture } from "../../data/audit-queries.ts";
import { Name } from "../cells.tsx";
import { exportColumn, seenColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";

type Fault = MeshPolicyAnswer["rejected"][number]["faults"][number];

interface RejectedRow {
	readonly key: string;
	/** Empty for the control plane, which reads the files. */
	readonly instanceId: string;
	readonly time: string;
	readonly fault: Fault;
}

interface RejectedProps {
	readonly policy: MeshPolicyAnswer;
	readonly proxies: MeshPicture["proxies"];
	readonly nowMs: number;
	readonly asOf: string;
}

function rejectedColumns(nowMs: number): readonly Column<RejectedRow>[] {
	return [
		{
			key: "place",
			title: "Place",
			heads: true,
			value: ({ fault }) => placeOf(fault),
			cell: ({ fault }) => <span className="mono told">{shorten(placeOf(fault))}</span>,
		},
		{
			key: "message",
			title: "What is wrong",
			value: ({ fault }) => fault.message,
			cell: ({ fault }) => (
				<>
					<strong className="told">{shorten(fault.message, 500)}</strong>
					<span className="beneath muted told">{shorten(fault.path, 500)}</span>
				</>
			),
		},
		exportColumn("path", ({ fault }) => fault.path),
		{
			key: "refusedBy",
			title: "Refused by",
			value: ({ instanceId }) => instanceId || "control plane",
			cell: ({ instanceId }) => <Name text={instanceId} none="the control plane" />,
		},
		seenColumn("time", "When", ({ time }) => time, nowMs),
	];
}

/** Refused by the control plane when it read the files, or by a proxy when it was sent the policy. */
export function Rejected({ policy, proxies, nowMs, asOf }: RejectedProps): ReactNode {
	const rows: readonly RejectedRow[] = [
		...policy.rejected.flatMap(({ time, faults }, i) =>
			faults.map((fault, j) => ({ key: `read ${i} ${j}`, instanceId: "", time, fault })),
		),
		...proxies.flatMap(({ instanceId, nack }) =>
			(nack?.faults ?? []).map((fault, j) => ({ key: `${instanceId} ${j}`, instanceId, time: nack?.time ?? "", fault })),
		),
	];
	return (
		<DataTable
			name="rejected"
			title="Rejected policies"
			note="Faults in what was read since the policy in force, and in what proxies refused. The policy in force stays until they are mended."
			empty="None: everything that was read since is in force."
			columns={rejectedColumns(nowMs)}
			rows={rows}
			rowKey={({ key }) => key}
			asOf={asOf}
		/>
	);
}

/** `mesh.yaml:12:7`, as editors and terminals open it; the file alone for what concerns all of it. */
function placeOf({ file, line, column }: Fault): string {
	return line === 0 ? file : `${file}:${line}:${column}`;
}

export function Policy({ policy }: { readonly policy: MeshPolicyAnswer }): ReactNode {
	return (
		<section className="card policy" aria-labelledby="policy-title">
			<h2 id="policy-title">
				Policy in force{" "}
				<span className="muted">{policy.version === "" ? "" : `version ${shorten(policy.version, 20)}`}</span>
			</h2>
			{policy.version === "" ? (
				<p className="muted">None yet. The mesh runs on its defaults: mutual TLS between proxies, every call allowed.</p>
			) : (
				<p className="muted">
					{countOf(policy.documents.length, "document")}
					{policy.accepted !== undefined && `, accepted ${formatUtcMs(Date.parse(policy.accepted))}`}, SHA-256{" "}
					<span className="mono told">{shorten(policy.hash)}</span>
				</p>
			)}
			{policy.documents.map((document) => (
				<details key={`${document.file}:${document.line}`}>
					<summary>
						<span className="told">{shorten(documentTitle(document.value))}</span>{" "}
						<span className="mono muted told">
							{shorten(document.file)}:{document.line}
						</span>
					</summary>
					<pre
						className="told"
						tabIndex={0}
						role="region"
						aria-label={`Text of ${shorten(documentTitle(document.value))}`}
					>
						{visible(JSON.stringify(document.value, undefined, 2) ?? "")}
					</pre>
				</details>
			))}
		</section>
	);
}

/** `DestinationRule shop/cart`. */
function documentTitle(value: unknown): string {
	const { kind, metadata } = recordOf(value);
	const { namespace, name } = recordOf(metadata);
	const path = [namespace, name].filter((part) => typeof part === "string").join("/");
	return [typeof kind === "string" ? kind : "Document", path].filter((part) => part !== "").join(" ");
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

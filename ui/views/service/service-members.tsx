/** Who a service is: its workloads as the traffic shows them, its instances as the control plane knows them, and its identities. */
import type { ReactNode } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import { useMeshInstances, useServiceMembers } from "../../data/service-queries.ts";
import type { ServiceQuestion } from "../../data/service-queries.ts";
import { countColumn, nameColumn } from "../columns.tsx";
import { DataTable } from "../data-table.tsx";
import type { Column } from "../data-table.tsx";
import { InstanceTable } from "../mesh/mesh-tables.tsx";
import { IdentityTable } from "../mtls/identity-tables.tsx";
import { ErrorNotice } from "../notice.tsx";

interface MembersProps {
	readonly question: ServiceQuestion;
	readonly nodes: readonly string[];
	readonly nowMs: number;
}

type Node = GraphAnswer["nodes"][number];

const WORKLOAD_COLUMNS: readonly Column<Node>[] = [
	nameColumn("workload", "Workload", workloadOf, { heads: true, none: "not told" }),
	nameColumn("namespace", "Namespace", (row) => row.namespace),
	countColumn("requests", "Received", (row) => row.requests),
	countColumn("connections", "TCP received", (row) => row.connections),
	countColumn("errors", "Failed", (row) => row.errors),
	countColumn("sentRequests", "Sent", (row) => row.sentRequests),
	countColumn("sentErrors", "Failed of sent", (row) => row.sentErrors),
	nameColumn("id", "Node", (row) => row.id),
];

function workloadOf({ id }: Node): string {
	const at = id.lastIndexOf("@");
	return at < 0 ? "" : id.slice(at + 1);
}

export function Members({ question, nodes, nowMs }: MembersProps): ReactNode {
	const members = useServiceMembers(question, nodes);
	const instances = useMeshInstances();
	const own = instances.data?.filter(({ namespace, service }) =>
		nodes.some((node) => node === `${namespace}/${service}` || node === service || node.endsWith(`/${namespace}/${service}`)),
	);
	const asOf = new Date(nowMs).toISOString();
	return (
		<>
			{members.isError && <ErrorNotice error={members.error} what="Workloads and identities could not be read." />}
			{members.data !== undefined && (
				<>
					<DataTable
						name="workloads"
						title="Workloads"
						note="Deployments or versions behind the service, as senders name them, with what each received and sent."
						empty="None is told apart."
						columns={WORKLOAD_COLUMNS}
						rows={members.data.workloads}
						rowKey={(row) => row.id}
						asOf={asOf}
					/>
					<IdentityTable
						rows={members.data.identities}
						window={{ from: asOf, to: asOf, resolutionMs: 0 }}
						nowMs={nowMs}
					/>
				</>
			)}
			{own !== undefined && own.length > 0 && <InstanceTable rows={own} nowMs={nowMs} asOf={asOf} />}
		</>
	);
}

/** The own mesh as its control plane knows it: who is in it, on which policy, with which certificates, and what was refused. */
import { useEffect } from "react";
import type { ReactNode } from "react";
import type { MeshAnswer } from "../../../api/contract/mesh.ts";
import { countOf, formatCount, formatSpanOfTime, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { useMesh } from "../../data/audit-queries.ts";
import type { MeshPicture } from "../../data/audit-queries.ts";
import { useStatus } from "../../data/queries.ts";
import { Name } from "../cells.tsx";
import { CopyButton } from "../copy-button.tsx";
import { ErrorNotice } from "../notice.tsx";
import { CertificateTable, InstanceTable, ProxyTable, RootTable, ServiceTable } from "./mesh-tables.tsx";
import { Policy, Rejected } from "./policy.tsx";

export function MeshView(): ReactNode {
	const { data: status } = useStatus();
	const mesh = useMesh(status?.controlPlane === true);
	useEffect(() => {
		document.title = "Mesh · meshscope";
	}, []);
	// A server that has no control plane gets none while it runs.
	const absent = status?.controlPlane === false;
	return (
		<div className="page">
			<h1>Mesh</h1>
			{absent && <HowToStart />}
			{mesh.isError && !absent && <ErrorNotice error={mesh.error} what="The mesh could not be read." />}
			{mesh.isPending && !absent && <p className="muted">Reading…</p>}
			{mesh.data !== undefined && !absent && <Picture picture={mesh.data} />}
		</div>
	);
}

const START = "meshscope serve --mesh mesh.yaml";

function HowToStart(): ReactNode {
	return (
		<div className="card empty">
			<h2>No control plane runs here</h2>
			<p className="muted">
				This page tells of a mesh of meshscope’s own proxies. Start the server with a policy file, and the control plane
				runs in it:
			</p>
			<p className="start-command">
				<code>{START}</code> <CopyButton text={START} label="Copy the command" />
			</p>
			<p className="muted">
				To see one at work without writing a policy: <code>meshscope demo</code>. Traffic of other meshes is under{" "}
				<Link href="/mtls">mTLS</Link> and <Link href="/changes">Changes</Link>.
			</p>
		</div>
	);
}

function Picture({ picture }: { readonly picture: MeshPicture }): ReactNode {
	const { mesh, policy, readAtMs: nowMs } = picture;
	const common = { nowMs, asOf: new Date(nowMs).toISOString() };
	return (
		<>
			<Facts mesh={mesh} nowMs={nowMs} />
			<Rejected policy={policy} proxies={picture.proxies} {...common} />
			<ProxyTable rows={picture.proxies} version={mesh.policy.version} {...common} />
			<ServiceTable rows={picture.services} {...common} />
			<InstanceTable rows={picture.instances} {...common} />
			<CertificateTable rows={picture.certificates} {...common} />
			<RootTable rows={mesh.roots} {...common} />
			<Policy policy={policy} />
		</>
	);
}

function Facts({ mesh, nowMs }: { readonly mesh: MeshAnswer; readonly nowMs: number }): ReactNode {
	const { proxies, instances, policy } = mesh;
	const behind = proxies.total - proxies.inSync;
	const sick = instances.total - instances.healthy;
	return (
		<dl className="facts">
			<div className="fact card">
				<dt>Trust domain</dt>
				<dd className="fact-value">
					<Name text={mesh.trustDomain} />
				</dd>
				<dd className="fact-more muted">
					proxies connect to <bdi className="told">{shorten(mesh.address)}</bdi>, up{" "}
					{formatSpanOfTime((nowMs - Date.parse(mesh.started)) / 1_000)}
				</dd>
			</div>
			<div className="fact card">
				<dt>Proxies in sync</dt>
				<dd className="fact-value">
					{formatCount(proxies.inSync)} of {formatCount(proxies.total)}
				</dd>
				<dd className={behind > 0 ? "fact-more warned" : "fact-more muted"}>
					{formatCount(proxies.connected)} connected, {formatCount(proxies.refusing)} refuse the policy
				</dd>
			</div>
			<div className="fact card">
				<dt>Healthy instances</dt>
				<dd className="fact-value">
					{formatCount(instances.healthy)} of {formatCount(instances.total)}
				</dd>
				<dd className={sick > 0 ? "fact-more warned" : "fact-more muted"}>of {countOf(mesh.services, "service")}</dd>
			</div>
			<div className="fact card">
				<dt>Policy in force</dt>
				<dd className="fact-value">{policy.version === "" ? "none" : `version ${shorten(policy.version, 20)}`}</dd>
				<dd className={policy.faults > 0 ? "fact-more warned" : "fact-more muted"}>
					{policy.faults > 0
						? `a newer one was refused: ${countOf(policy.faults, "fault")}`
						: policy.accepted === undefined
							? "nothing accepted yet"
							: `for ${formatSpanOfTime((nowMs - Date.parse(policy.accepted)) / 1_000)}`}
				</dd>
			</div>
			<div className="fact card">
				<dt>Next certificate ends</dt>
				<dd className="fact-value">
					{mesh.nextExpiry === undefined ? "none" : nextEnd(Date.parse(mesh.nextExpiry), nowMs)}
				</dd>
				<dd className="fact-more muted">
					trust bundle {formatCount(mesh.bundleSequence)}, {countOf(mesh.roots.length, "root")}
				</dd>
			</div>
		</dl>
	);
}

function nextEnd(endMs: number, nowMs: number): string {
	return endMs <= nowMs ? "ended" : `in ${formatSpanOfTime((endMs - nowMs) / 1_000)}`;
}

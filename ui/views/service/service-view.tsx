/** One service: what it receives and sends, how that went, whom it talks to, and what it failed at. All of its state is in the address. */
import { useEffect } from "react";
import type { ReactNode } from "react";
import { ApiError } from "../../base/api.ts";
import { formatUtcMs, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, serviceHref, tracesHref, useLocation } from "../../base/router.ts";
import { isOpenEnded, rangeQuery, readGraphSettings } from "../../data/graph-settings.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { useServiceTraffic } from "../../data/service-queries.ts";
import type { ServiceQuestion, ServiceTraffic } from "../../data/service-queries.ts";
import { RangeFields } from "../fields.tsx";
import { Live, usePauseKey } from "../live.tsx";
import { ErrorNotice } from "../notice.tsx";
import { ServiceCharts } from "./service-charts.tsx";
import { ServiceEdges } from "./service-edges.tsx";
import { Failures, Operations } from "./service-spans.tsx";
import { Members } from "./service-members.tsx";

export function ServiceView(): ReactNode {
	const service = decoded(useLocation().path.slice("/service/".length));
	return <Service key={service} service={service} />;
}

function Service({ service }: { readonly service: string }): ReactNode {
	const { path, params } = useLocation();
	const { from, to, live: wanted } = readGraphSettings(params);
	const live = wanted && isOpenEnded({ to });
	const question: ServiceQuestion = { service, query: rangeQuery({ from, to }), live };
	const traffic = useServiceTraffic(question);
	usePauseKey(wanted);
	useEffect(() => {
		document.title = `${shorten(service, 80)} · meshscope`;
	}, [service]);
	const range = { from, to: to === "" ? undefined : to };
	const isAbsent = traffic.error instanceof ApiError && traffic.error.code === "not_found";
	return (
		<div className="page">
			<header className="service-head">
				<h1>
					<bdi className="told">{shorten(service, 120)}</bdi>
				</h1>
				<span className="panel-links">
					<Link
						className="button-link"
						href={hrefWith("/", new URLSearchParams({ node: nodeOf(traffic.data, service) }), range)}
					>
						In the graph
					</Link>
					<Link className="button-link" href={tracesHref({ service: serviceOfNode(service), ...range })}>
						Traces
					</Link>
				</span>
			</header>
			<section className="service-bar" aria-label="Time range">
				<RangeFields from={from} to={to} onApply={(change) => navigate(hrefWith(path, params, change))} />
				<Live live={wanted} isOpenEnded={isOpenEnded({ to })} isLost={traffic.isError && !isAbsent} />
			</section>
			{isAbsent && <NoTraffic service={service} />}
			{traffic.isError && !isAbsent && (
				<ErrorNotice error={traffic.error} what="The service's traffic could not be read." />
			)}
			{traffic.isPending && <p className="muted">Reading…</p>}
			{traffic.data !== undefined && !isAbsent && (
				<div className="audit" aria-busy={traffic.isPlaceholderData}>
					<Traffic answer={traffic.data} service={service} range={range} />
				</div>
			)}
			<Operations question={question} range={range} />
			<Failures question={question} range={range} />
			{traffic.data !== undefined && !isAbsent && (
				<Members question={question} nodes={traffic.data.traffic.nodes} nowMs={traffic.data.readAtMs} />
			)}
		</div>
	);
}

interface TrafficProps {
	readonly answer: ServiceTraffic;
	readonly service: string;
	readonly range: Readonly<Record<string, string | undefined>>;
}

function Traffic({ answer, service, range }: TrafficProps): ReactNode {
	const { traffic, history } = answer;
	const { window, nodes } = traffic;
	const others = nodes.filter((node) => node !== service);
	return (
		<>
			<p className="muted as-of">
				From {formatUtcMs(Date.parse(window.from))} to {formatUtcMs(Date.parse(window.to))}.
				{nodes.length > 1 && " Several namespaces have a service of this name; the figures are of all of them:"}
				{others.map((node) => (
					<span key={node}>
						{" "}
						<Link href={serviceHref(node, range)}>
							<bdi>{shorten(node, 80)}</bdi>
						</Link>
					</span>
				))}
			</p>
			<ServiceCharts traffic={traffic} history={history} />
			<ServiceEdges way="inbound" traffic={traffic} nowMs={answer.readAtMs} />
			<ServiceEdges way="outbound" traffic={traffic} nowMs={answer.readAtMs} />
		</>
	);
}

/** The ID by which the graph knows it. */
function nodeOf(answer: ServiceTraffic | undefined, service: string): string {
	return answer?.traffic.nodes[0] ?? service;
}

function NoTraffic({ service }: { readonly service: string }): ReactNode {
	const { path } = useLocation();
	return (
		<div className="card empty">
			<h2>No call from or to this service in this range</h2>
			<p className="muted">
				Nothing that arrived speaks of a call of <bdi className="told">{shorten(service, 120)}</bdi>. Its name may be
				written differently, or it was quiet.
			</p>
			<p className="empty-actions">
				<Link className="button-link" href={hrefWith(path, new URLSearchParams(), { from: "now-24h" })}>
					The last 24 hours
				</Link>
				<Link className="button-link" href="/?view=table">
					All services and edges
				</Link>
			</p>
		</div>
	);
}

function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

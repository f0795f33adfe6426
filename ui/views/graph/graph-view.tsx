/** The home page: who calls whom, how well, and how safely. All of its state is in the address. */
import { useEffect, useMemo, useState } from "react";
import type { ReactNode } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import { parseExpression } from "../../data/graph-expression.ts";
import { readHistorySettings } from "../../data/graph-history.ts";
import { graphModel } from "../../data/graph-model.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { graphQuery, isOpenEnded, readGraphSettings } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { useGraph, useStatus } from "../../data/queries.ts";
import { usePauseKey } from "../live.tsx";
import { ErrorNotice } from "../notice.tsx";
import { SetupView } from "../setup/setup-view.tsx";
import { EdgePanel } from "./edge-panel.tsx";
import { GraphCanvas } from "./graph-canvas.tsx";
import { GraphTable } from "./graph-table.tsx";
import { GraphToolbar } from "./graph-toolbar.tsx";
import { Legend } from "./legend.tsx";
import { NodePanel } from "./node-panel.tsx";
import { Scrubber } from "./scrubber.tsx";
import { useLayout } from "./use-layout.ts";

type Change = Readonly<Record<string, string | undefined>>;

export function GraphView(): ReactNode {
	const { params } = useLocation();
	const settings = readGraphSettings(params);
	const live = settings.live && isOpenEnded(settings);
	const status = useStatus();
	const [isMoving, setMoving] = useState(false);
	// Reading an answer of thousands of edges takes longer than a frame: it waits while hands move the sheet.
	const graph = useGraph(graphQuery(settings), live && !isMoving);
	const positions = useLayout(graph.data, settings.groupBy);
	const find = useMemo(() => parseExpression(settings.find), [settings.find]);
	const hide = useMemo(() => parseExpression(settings.hide), [settings.hide]);
	const model = useMemo(
		() =>
			graph.data &&
			graphModel(
				graph.data,
				find !== undefined && "matches" in find ? find.matches : undefined,
				hide !== undefined && "matches" in hide ? hide.matches : undefined,
			),
		[graph.data, find, hide],
	);
	useEffect(() => {
		document.title = "Graph · meshscope";
	}, []);
	usePauseKey(settings.live);

	const nothingYet =
		graph.data?.nodes.length === 0 &&
		status.data !== undefined &&
		status.data.store.spans === 0 &&
		status.data.ingest.traces.acceptedRecords === 0 &&
		status.data.topology.series === 0;
	if (nothingYet) return <SetupView />;

	const apply = (change: Change): void => navigate(hrefWith("/", params, change));
	const open = (id: string): void => {
		const isEdge = model?.edgeById.has(id) === true;
		apply({ edge: isEdge ? id : undefined, node: isEdge ? undefined : id });
	};
	const close = (): void => {
		if (settings.edge !== "" || settings.node !== "") apply({ edge: undefined, node: undefined });
	};
	return (
		<div className={settings.isTable ? "graph-page graph-page-table" : "graph-page"}>
			<h1 className="hidden-label">Service graph</h1>
			<GraphToolbar params={params} settings={settings} model={model} graph={graph.data} isLost={graph.isError} />
			{readHistorySettings(params).isShown && (
				<Scrubber params={params} settings={settings} isReading={graph.isFetching || graph.isPlaceholderData} />
			)}
			{graph.isError && <ErrorNotice error={graph.error} what="The graph could not be read." />}
			<div className="graph-body">
				<Main {...{ graph: graph.data, model, settings, params, positions, open, close, setMoving }} />
				{settings.edge !== "" && (
					<EdgePanel key={settings.edge} id={settings.edge} settings={settings} live={live} onClose={close} />
				)}
				{settings.edge === "" && settings.node !== "" && model !== undefined && (
					<NodePanel id={settings.node} model={model} range={settings} onOpen={open} onClose={close} />
				)}
			</div>
		</div>
	);
}

interface MainProps {
	readonly graph: GraphAnswer | undefined;
	readonly model: GraphModel | undefined;
	readonly settings: GraphSettings;
	readonly params: URLSearchParams;
	readonly positions: ReturnType<typeof useLayout>;
	readonly open: (id: string) => void;
	readonly close: () => void;
	readonly setMoving: (isMoving: boolean) => void;
}

function Main({ graph, model, settings, params, positions, open, close, setMoving }: MainProps): ReactNode {
	if (graph === undefined || model === undefined) return <p className="graph-wait muted">Reading the graph…</p>;
	if (graph.nodes.length === 0) return <NothingInRange params={params} />;
	if (settings.isTable) return <GraphTable graph={graph} model={model} params={params} selected={settings.edge} />;
	return (
		<div className="graph-main">
			<GraphCanvas
				model={model}
				positions={positions}
				label={settings.label}
				selected={settings.edge === "" ? settings.node : settings.edge}
				onOpen={open}
				onClose={close}
				fitKey={settings.groupBy}
				onMoving={setMoving}
			/>
			<Legend />
		</div>
	);
}

function NothingInRange({ params }: { readonly params: URLSearchParams }): ReactNode {
	return (
		<div className="card empty graph-empty">
			<h2>No traffic in this range</h2>
			<p className="muted">Nothing that arrived speaks of a call in it.</p>
			<p className="empty-actions">
				<Link className="button-link" href={hrefWith("/", params, { from: "now-24h", to: undefined })}>
					Look at the last 24 hours
				</Link>
				<Link className="button-link" href="/setup">
					Set up a sender
				</Link>
			</p>
		</div>
	);
}

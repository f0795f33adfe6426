/** The home page: who calls whom, how well, and how safely. All of its state is in the address. */
import { useEffect, useMemo, useState } from "react";
import type { ComponentProps, ReactNode } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import { collapse, hullName, isMergedId, readCollapsed } from "../../data/graph-collapse.ts";
import { parseExpression } from "../../data/graph-expression.ts";
import { readHistorySettings } from "../../data/graph-history.ts";
import { graphModel } from "../../data/graph-model.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { foldChange, graphQuery, isOpenEnded, readGraphSettings } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { useGraph, useStatus } from "../../data/queries.ts";
import { usePauseKey } from "../live.tsx";
import { ErrorNotice } from "../notice.tsx";
import { SetupView } from "../setup/setup-view.tsx";
import { EdgePanel } from "./edge-panel.tsx";
import { ExportMenu } from "./export-menu.tsx";
import { GraphCanvas } from "./graph-canvas.tsx";
import { GraphTable } from "./graph-table.tsx";
import { GraphToolbar } from "./graph-toolbar.tsx";
import { Legend } from "./legend.tsx";
import { MergedPanel } from "./merged-panel.tsx";
import { NodePanel } from "./node-panel.tsx";
import { Scrubber } from "./scrubber.tsx";
import { useLayout, withFolded } from "./use-layout.ts";

type Change = Readonly<Record<string, string | undefined>>;

export function GraphView(): ReactNode {
	const { params } = useLocation();
	const settings = readGraphSettings(params);
	const live = settings.live && isOpenEnded(settings);
	const status = useStatus();
	const [isMoving, setMoving] = useState(false);
	// Reading an answer of thousands of edges takes longer than a frame: it waits while hands move the sheet.
	const graph = useGraph(graphQuery(settings), live && !isMoving);
	const placed = useLayout(graph.data, settings.groupBy);
	const names = useMemo(() => readCollapsed(settings.collapsed), [settings.collapsed]);
	const byNamespace = useGraph(graphQuery(settings, "namespace"), live && !isMoving, names.size > 0);
	// Of another window than the graph's it would be wrong.
	const whole = names.size > 0 && !byNamespace.isPlaceholderData && !graph.isPlaceholderData ? byNamespace.data : undefined;
	const shown = useMemo(() => graph.data && collapse(graph.data, names, whole), [graph.data, names, whole]);
	const positions = useMemo(() => (shown === undefined ? placed : withFolded(placed, shown.folded)), [placed, shown]);
	const find = useMemo(() => parseExpression(settings.find), [settings.find]);
	const hide = useMemo(() => parseExpression(settings.hide), [settings.hide]);
	const model = useMemo(
		() =>
			shown &&
			graphModel(
				shown.graph,
				find !== undefined && "matches" in find ? find.matches : undefined,
				hide !== undefined && "matches" in hide ? hide.matches : undefined,
			),
		[shown, find, hide],
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
	const fold = (which: { readonly hull: string } | { readonly node: string }): void => {
		const folded = "node" in which ? shown?.folded.get(which.node)?.name : undefined;
		const node = "node" in which ? model?.nodeById.get(which.node) : undefined;
		const name = folded ?? ("hull" in which ? which.hull : node === undefined ? "" : hullName(node));
		if (name !== "") apply(foldChange(settings, name, folded === undefined));
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
				<Main {...{ graph: shown?.graph, model, settings, params, positions, open, close, fold, setMoving }} />
				{isMergedId(settings.edge) && model !== undefined && (
					<MergedPanel
						edge={model.edgeById.get(settings.edge)}
						parts={shown?.parts.get(settings.edge) ?? []}
						onOpen={(edge) => apply({ edge, node: undefined })}
						onClose={close}
					/>
				)}
				{settings.edge !== "" && !isMergedId(settings.edge) && (
					<EdgePanel key={settings.edge} id={settings.edge} settings={settings} live={live} onClose={close} />
				)}
				{settings.edge === "" && settings.node !== "" && model !== undefined && (
					<NodePanel
						id={settings.node}
						model={model}
						members={shown?.folded.get(settings.node)?.members}
						settings={settings}
						onOpen={open}
						onFold={() => fold({ node: settings.node })}
						onClose={close}
					/>
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
	readonly fold: ComponentProps<typeof GraphCanvas>["onFold"];
	readonly setMoving: (isMoving: boolean) => void;
}

function Main({ graph, model, settings, params, positions, open, close, fold, setMoving }: MainProps): ReactNode {
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
				onFold={fold}
				fitKey={settings.groupBy}
				onMoving={setMoving}
			/>
			<div className="graph-corner">
				<Legend />
				<ExportMenu graph={graph} model={model} positions={positions} settings={settings} />
			</div>
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

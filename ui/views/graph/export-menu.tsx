/** The graph as a file: the drawing as SVG or PNG, its edges as CSV, all of it as JSON. */
import { useState } from "react";
import type { ReactNode } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import { saveFile } from "../../base/download.ts";
import { formatUtcMs } from "../../base/format.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import { EDGE_LABELS } from "../../data/graph-settings.ts";
import type { GraphSettings } from "../../data/graph-settings.ts";
import { edgesCsv } from "../../data/graph-table.ts";
import { sceneOf, sheetOf } from "./scene.ts";
import type { Positions } from "./use-layout.ts";
import { usePalette } from "./use-palette.ts";

interface ExportMenuProps {
	readonly graph: GraphAnswer;
	readonly model: GraphModel;
	readonly positions: Positions;
	readonly settings: GraphSettings;
}

export function ExportMenu({ graph, model, positions, settings }: ExportMenuProps): ReactNode {
	const palette = usePalette();
	const [isLost, setLost] = useState(false);
	const { from, to } = graph.window;
	const name = `graph-${to.slice(0, 19).replaceAll(":", "")}`;
	const save = async (kind: "svg" | "png"): Promise<void> => {
		const { pngOf, svgOf } = await import("./export-drawing.ts");
		const exported = {
			sheet: sheetOf(sceneOf(model, positions), settings.label),
			...{ palette, lit: model.found, found: model.found, selected: "", focused: undefined },
			title: `Service graph, ${formatUtcMs(Date.parse(from))} to ${formatUtcMs(Date.parse(to))}`,
			facts: factsOf(model, settings),
		};
		if (kind === "png") saveFile(`${name}.png`, await pngOf(exported));
		else saveFile(`${name}.svg`, new Blob([svgOf(exported)], { type: "image/svg+xml" }));
	};
	const drawing = (kind: "svg" | "png") => () => {
		setLost(false);
		save(kind).catch(() => setLost(true));
	};
	return (
		<details className="graph-export card">
			<summary>Export</summary>
			<div className="graph-export-kinds">
				<button type="button" onClick={drawing("svg")}>
					SVG
				</button>
				<button type="button" onClick={drawing("png")}>
					PNG
				</button>
				<button
					type="button"
					onClick={() => saveFile(`${name}.csv`, new Blob([edgesCsv(model.edges)], { type: "text/csv" }))}
				>
					CSV
				</button>
				<button type="button" onClick={() => saveFile(`${name}.json`, graphJson(graph, model))}>
					JSON
				</button>
			</div>
			{isLost && <p role="alert">It could not be drawn: the browser lacks room, or the server was upgraded since.</p>}
		</details>
	);
}

/** What is shown, with its window. */
export function graphJson({ window }: GraphAnswer, { nodes, edges }: Pick<GraphModel, "nodes" | "edges">): Blob {
	return new Blob([JSON.stringify({ window, nodes, edges }, undefined, "\t")], { type: "application/json" });
}

function factsOf({ nodes, edges, hiddenCount }: GraphModel, { groupBy, label, find, hide }: GraphSettings): string {
	const shown = EDGE_LABELS.find(({ key }) => key === label)!.label.toLowerCase();
	return [
		`by ${groupBy}`,
		`${nodes.length} nodes`,
		`${edges.length} edges`,
		...(label === "none" ? [] : [`edges show ${shown === "mtls %" ? "mTLS %" : shown}`]),
		...(find === "" ? [] : [`found: ${find}`]),
		...(hide === "" || hiddenCount === 0 ? [] : [`hidden: ${hide}`]),
	].join(", ");
}

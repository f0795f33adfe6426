/** What colours, dashes, signs and shapes mean, drawn by the code that draws the graph. */
import { useEffect, useRef } from "react";
import type { ReactNode } from "react";
import { FAILING_RATIO } from "../../data/graph-words.ts";
import type { GraphNodeAnswer } from "../../data/graph-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";
import { drawLock, traceShape } from "./shapes.ts";
import { usePalette } from "./use-palette.ts";

export const KIND_SIGNS: readonly GraphNodeAnswer["kind"][] = [
	"service",
	"gateway",
	"database",
	"messaging",
	"external",
	"unknown",
];
export const LOCK_SIGNS: readonly (readonly [MtlsStatus, string])[] = [
	["mutual_tls", "mutual TLS"],
	["plaintext", "plaintext, or not mutual TLS"],
	["mixed", "mixed"],
	["tls", "TLS, no client certificate"],
	["unknown", "not known"],
];

export function Legend(): ReactNode {
	return (
		<details className="graph-legend card">
			<summary>Legend</summary>
			<div className="graph-legend-columns">
				<ul aria-label="Edges">
					<li>
						<span className="legend-line legend-ok" /> no errors
					</li>
					<li>
						<span className="legend-line legend-warn" /> errors below {FAILING_RATIO * 100} %
					</li>
					<li>
						<span className="legend-line legend-fail" /> {FAILING_RATIO * 100} % errors or more
					</li>
					<li>
						<span className="legend-line legend-idle" /> no traffic
					</li>
				</ul>
				<ul aria-label="Encryption">
					{LOCK_SIGNS.map(([status, text]) => (
						<li key={status}>
							<Sign
								paint={(context, ink, ground) => drawLock(context, status, 11, 11, ink, ground, "sans-serif")}
							/>{" "}
							{text}
						</li>
					))}
				</ul>
				<ul aria-label="Nodes">
					{KIND_SIGNS.map((kind) => (
						<li key={kind}>
							<Sign paint={(context) => traceShape(context, kind, 11, 11, 8)} /> {kind}
						</li>
					))}
				</ul>
			</div>
		</details>
	);
}

type Paint = (context: CanvasRenderingContext2D, ink: string, ground: string) => void;

function Sign({ paint }: { readonly paint: Paint }): ReactNode {
	const canvas = useRef<HTMLCanvasElement>(null);
	const { text, surface } = usePalette();
	useEffect(() => {
		const context = canvas.current?.getContext("2d") ?? undefined;
		if (context === undefined) return;
		context.setTransform(2, 0, 0, 2, 0, 0);
		context.clearRect(0, 0, 22, 22);
		context.fillStyle = surface;
		context.strokeStyle = text;
		context.lineWidth = 1.4;
		paint(context, text, surface);
	}, [text, surface, paint]);
	return <canvas ref={canvas} width={44} height={44} className="legend-sign" aria-hidden="true" />;
}

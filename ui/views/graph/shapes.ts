/** The shapes of nodes and the signs of encryption, as paths of a canvas. Each can be told from the others without colour. */
import type { GraphNodeAnswer } from "../../data/graph-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";

/** Fills and strokes the shape of a kind with the styles that are set. */
export function traceShape(
	context: CanvasRenderingContext2D,
	kind: GraphNodeAnswer["kind"],
	x: number,
	y: number,
	r: number,
): void {
	context.beginPath();
	if (kind === "gateway") tracePolygon(context, 6, x, y, r * 1.1);
	else if (kind === "database") return drawCylinder(context, x, y, r);
	else if (kind === "messaging") return drawQueue(context, x, y, r);
	else if (kind === "external") traceCloud(context, x, y, r);
	else if (kind === "namespace") context.roundRect(x - r, y - r, 2 * r, 2 * r, 6);
	else if (kind === "overflow") tracePolygon(context, 8, x, y, r);
	else context.arc(x, y, r, 0, 2 * Math.PI);
	if (kind === "unknown") context.setLineDash([4, 3]);
	context.fill();
	context.stroke();
	context.setLineDash([]);
	const sign = kind === "unknown" ? "?" : kind === "overflow" ? "…" : undefined;
	if (sign !== undefined) {
		context.fillStyle = context.strokeStyle;
		context.font = "600 16px system-ui, sans-serif";
		context.textAlign = "center";
		context.textBaseline = "middle";
		context.fillText(sign, x, y + 1);
	}
	// An arrow through a gate.
	if (kind === "gateway") {
		context.beginPath();
		context.moveTo(x - r * 0.5, y);
		context.lineTo(x + r * 0.5, y);
		context.moveTo(x + r * 0.15, y - r * 0.35);
		context.lineTo(x + r * 0.5, y);
		context.lineTo(x + r * 0.15, y + r * 0.35);
		context.stroke();
	}
}

function tracePolygon(context: CanvasRenderingContext2D, corners: number, x: number, y: number, r: number): void {
	for (let i = 0; i < corners; i++) {
		const angle = ((i + 0.5) / corners) * 2 * Math.PI;
		context.lineTo(x + Math.cos(angle) * r, y + Math.sin(angle) * r);
	}
	context.closePath();
}

function drawCylinder(context: CanvasRenderingContext2D, x: number, y: number, r: number): void {
	const [width, lid] = [r * 0.85, r * 0.32];
	context.ellipse(x, y + r - lid, width, lid, 0, 0, Math.PI);
	context.ellipse(x, y - r + lid, width, lid, 0, Math.PI, 2 * Math.PI);
	context.closePath();
	context.fill();
	context.stroke();
	context.beginPath();
	context.ellipse(x, y - r + lid, width, lid, 0, 0, Math.PI);
	context.stroke();
}

function drawQueue(context: CanvasRenderingContext2D, x: number, y: number, r: number): void {
	const height = r * 0.65;
	context.roundRect(x - r * 1.15, y - height, r * 2.3, height * 2, height);
	context.fill();
	context.stroke();
	context.beginPath();
	for (const step of [-0.4, 0.05, 0.5]) {
		context.moveTo(x + r * step, y - height * 0.5);
		context.lineTo(x + r * step, y + height * 0.5);
	}
	context.stroke();
}

function traceCloud(context: CanvasRenderingContext2D, x: number, y: number, r: number): void {
	context.arc(x - r * 0.55, y + r * 0.2, r * 0.5, Math.PI * 0.5, Math.PI * 1.45);
	context.arc(x - r * 0.05, y - r * 0.25, r * 0.62, Math.PI * 1.1, Math.PI * 1.85);
	context.arc(x + r * 0.6, y + r * 0.2, r * 0.5, Math.PI * 1.4, Math.PI * 0.5);
	context.closePath();
}

/**
 * A closed lock for mutual TLS, an open one for plaintext, a half filled one for mixed, an empty closed one for TLS without a client's
 * certificate, a question mark for what is not known.
 */
export function drawLock(
	context: CanvasRenderingContext2D,
	status: MtlsStatus,
	x: number,
	y: number,
	ink: string,
	ground: string,
	font: string,
): void {
	if (status === "unknown") {
		context.font = `700 12px ${font}`;
		context.textAlign = "center";
		context.textBaseline = "middle";
		context.fillStyle = ink;
		context.fillText("?", x, y + 0.75);
		return;
	}
	const isOpen = status === "plaintext" || status === "none";
	context.strokeStyle = ink;
	context.lineWidth = 1.4;
	context.beginPath();
	if (isOpen) {
		// The shackle stands beside the body.
		context.moveTo(x + 0.8, y - 0.5);
		context.lineTo(x + 0.8, y - 3);
		context.arc(x + 3.1, y - 3, 2.3, Math.PI, 2 * Math.PI);
		context.lineTo(x + 5.4, y - 1.8);
	} else {
		context.moveTo(x - 2.3, y - 0.5);
		context.lineTo(x - 2.3, y - 2.6);
		context.arc(x, y - 2.6, 2.3, Math.PI, 2 * Math.PI);
		context.lineTo(x + 2.3, y - 0.5);
	}
	context.stroke();
	const left = isOpen ? x - 5 : x - 3.8;
	const width = isOpen ? 6.8 : 7.6;
	context.beginPath();
	context.rect(left, y - 0.7, width, 5.4);
	context.fillStyle = status === "mutual_tls" ? ink : ground;
	context.fill();
	context.stroke();
	if (status === "mixed") {
		context.fillStyle = ink;
		context.fillRect(left, y - 0.7, width / 2, 5.4);
	}
}

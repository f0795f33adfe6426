/** The shapes of nodes and the signs of encryption, as paths of a canvas. Each can be told from the others without colour. */
import type { GraphNodeAnswer } from "../../data/graph-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";
import type { Pen } from "./draw.ts";

/** Fills and strokes the shape of a kind with the styles that are set. */
export function traceShape(pen: Pen, kind: GraphNodeAnswer["kind"], x: number, y: number, r: number): void {
	pen.beginPath();
	if (kind === "gateway") tracePolygon(pen, 6, x, y, r * 1.1);
	else if (kind === "database") return drawCylinder(pen, x, y, r);
	else if (kind === "messaging") return drawQueue(pen, x, y, r);
	else if (kind === "external") traceCloud(pen, x, y, r);
	else if (kind === "namespace") pen.roundRect(x - r, y - r, 2 * r, 2 * r, 6);
	else if (kind === "overflow") tracePolygon(pen, 8, x, y, r);
	else pen.arc(x, y, r, 0, 2 * Math.PI);
	if (kind === "unknown") pen.setLineDash([4, 3]);
	pen.fill();
	pen.stroke();
	pen.setLineDash([]);
	const sign = kind === "unknown" ? "?" : kind === "overflow" ? "…" : undefined;
	if (sign !== undefined) {
		pen.fillStyle = pen.strokeStyle;
		pen.font = "600 16px system-ui, sans-serif";
		pen.textAlign = "center";
		pen.textBaseline = "middle";
		pen.fillText(sign, x, y + 1);
	}
	// An arrow through a gate.
	if (kind === "gateway") {
		pen.beginPath();
		pen.moveTo(x - r * 0.5, y);
		pen.lineTo(x + r * 0.5, y);
		pen.moveTo(x + r * 0.15, y - r * 0.35);
		pen.lineTo(x + r * 0.5, y);
		pen.lineTo(x + r * 0.15, y + r * 0.35);
		pen.stroke();
	}
}

function tracePolygon(pen: Pen, corners: number, x: number, y: number, r: number): void {
	for (let i = 0; i < corners; i++) {
		const angle = ((i + 0.5) / corners) * 2 * Math.PI;
		pen.lineTo(x + Math.cos(angle) * r, y + Math.sin(angle) * r);
	}
	pen.closePath();
}

function drawCylinder(pen: Pen, x: number, y: number, r: number): void {
	const [width, lid] = [r * 0.85, r * 0.32];
	pen.ellipse(x, y + r - lid, width, lid, 0, 0, Math.PI);
	pen.ellipse(x, y - r + lid, width, lid, 0, Math.PI, 2 * Math.PI);
	pen.closePath();
	pen.fill();
	pen.stroke();
	pen.beginPath();
	pen.ellipse(x, y - r + lid, width, lid, 0, 0, Math.PI);
	pen.stroke();
}

function drawQueue(pen: Pen, x: number, y: number, r: number): void {
	const height = r * 0.65;
	pen.roundRect(x - r * 1.15, y - height, r * 2.3, height * 2, height);
	pen.fill();
	pen.stroke();
	pen.beginPath();
	for (const step of [-0.4, 0.05, 0.5]) {
		pen.moveTo(x + r * step, y - height * 0.5);
		pen.lineTo(x + r * step, y + height * 0.5);
	}
	pen.stroke();
}

function traceCloud(pen: Pen, x: number, y: number, r: number): void {
	pen.arc(x - r * 0.55, y + r * 0.2, r * 0.5, Math.PI * 0.5, Math.PI * 1.45);
	pen.arc(x - r * 0.05, y - r * 0.25, r * 0.62, Math.PI * 1.1, Math.PI * 1.85);
	pen.arc(x + r * 0.6, y + r * 0.2, r * 0.5, Math.PI * 1.4, Math.PI * 0.5);
	pen.closePath();
}

/**
 * A closed lock for mutual TLS, an open one for plaintext, a half filled one for mixed, an empty closed one for TLS without a client's
 * certificate, a question mark for what is not known.
 */
export function drawLock(pen: Pen, status: MtlsStatus, x: number, y: number, ink: string, ground: string, font: string): void {
	if (status === "unknown") {
		pen.font = `700 12px ${font}`;
		pen.textAlign = "center";
		pen.textBaseline = "middle";
		pen.fillStyle = ink;
		pen.fillText("?", x, y + 0.75);
		return;
	}
	const isOpen = status === "plaintext" || status === "none";
	pen.strokeStyle = ink;
	pen.lineWidth = 1.4;
	pen.beginPath();
	if (isOpen) {
		// The shackle stands beside the body.
		pen.moveTo(x + 0.8, y - 0.5);
		pen.lineTo(x + 0.8, y - 3);
		pen.arc(x + 3.1, y - 3, 2.3, Math.PI, 2 * Math.PI);
		pen.lineTo(x + 5.4, y - 1.8);
	} else {
		pen.moveTo(x - 2.3, y - 0.5);
		pen.lineTo(x - 2.3, y - 2.6);
		pen.arc(x, y - 2.6, 2.3, Math.PI, 2 * Math.PI);
		pen.lineTo(x + 2.3, y - 0.5);
	}
	pen.stroke();
	const left = isOpen ? x - 5 : x - 3.8;
	const width = isOpen ? 6.8 : 7.6;
	pen.beginPath();
	pen.rect(left, y - 0.7, width, 5.4);
	pen.fillStyle = status === "mutual_tls" ? ink : ground;
	pen.fill();
	pen.stroke();
	if (status === "mixed") {
		pen.fillStyle = ink;
		pen.fillRect(left, y - 0.7, width / 2, 5.4);
	}
}

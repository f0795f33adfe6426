/** A pen that writes SVG: what the code that draws the canvas does with it becomes paths and texts of a file. Pure. */
import { visible } from "../../base/format.ts";
import type { Pen } from "./draw.ts";

/** Of an em: where the baseline lies below the top, and below the middle. Few readers of SVG know other baselines. */
const TOP_TO_BASELINE = 0.86;
const MIDDLE_TO_BASELINE = 0.35;
/** A character of a proportional face, about. */
const CHARACTER = 0.56;

export class SvgPen implements Pen {
	fillStyle = "#000";
	strokeStyle = "#000";
	lineWidth = 1;
	lineJoin: CanvasLineJoin = "miter";
	globalAlpha = 1;
	font = "10px sans-serif";
	textAlign: CanvasTextAlign = "start";
	textBaseline: CanvasTextBaseline = "alphabetic";
	private dash: readonly number[] = [];
	private path = "";
	private readonly parts: string[] = [];

	/** What was drawn so far, as elements. */
	content(): string {
		return this.parts.join("\n");
	}

	/** What `drawing` draws is moved. */
	group(x: number, y: number, drawing: () => void): void {
		this.parts.push(`<g transform="translate(${number(x)} ${number(y)})">`);
		drawing();
		this.parts.push("</g>");
	}

	beginPath(): void {
		this.path = "";
	}

	closePath(): void {
		this.path += "Z";
	}

	moveTo(x: number, y: number): void {
		this.path += `M${number(x)} ${number(y)}`;
	}

	lineTo(x: number, y: number): void {
		this.path += `${this.path === "" ? "M" : "L"}${number(x)} ${number(y)}`;
	}

	bezierCurveTo(x1: number, y1: number, x2: number, y2: number, x: number, y: number): void {
		this.path += `C${[x1, y1, x2, y2, x, y].map(number).join(" ")}`;
	}

	rect(x: number, y: number, width: number, height: number): void {
		this.path += `M${number(x)} ${number(y)}h${number(width)}v${number(height)}h${number(-width)}Z`;
	}

	roundRect(x: number, y: number, width: number, height: number, radius = 0): void {
		const r = Math.min(radius, width / 2, height / 2);
		const corner = (dx: number, dy: number): string => `a${number(r)} ${number(r)} 0 0 1 ${number(dx)} ${number(dy)}`;
		this.path +=
			`M${number(x + r)} ${number(y)}h${number(width - 2 * r)}${corner(r, r)}v${number(height - 2 * r)}${corner(-r, r)}` +
			`h${number(2 * r - width)}${corner(-r, -r)}v${number(2 * r - height)}${corner(r, -r)}Z`;
	}

	arc(x: number, y: number, radius: number, start: number, end: number): void {
		this.ellipse(x, y, radius, radius, 0, start, end);
	}

	/** Clockwise, as everything that is drawn here; of no more than a whole turn. */
	ellipse(x: number, y: number, radiusX: number, radiusY: number, _rotation: number, start: number, end: number): void {
		const at = (angle: number): string => `${number(x + radiusX * Math.cos(angle))} ${number(y + radiusY * Math.sin(angle))}`;
		const turn = Math.min(2 * Math.PI, end >= start ? end - start : 2 * Math.PI - ((start - end) % (2 * Math.PI)));
		this.path += `${this.path === "" || this.path.endsWith("Z") ? "M" : "L"}${at(start)}`;
		// An arc that ends where it begins is none: a whole turn takes two, and halves are told apart by no flag.
		const steps = Math.max(1, Math.ceil(turn / (0.99 * Math.PI)));
		for (let step = 1; step <= steps; step++)
			this.path += `A${number(radiusX)} ${number(radiusY)} 0 0 1 ${at(start + (turn * step) / steps)}`;
	}

	setLineDash(dash: number[]): void {
		this.dash = dash;
	}

	fill(): void {
		if (this.path !== "") this.parts.push(`<path d="${this.path}" fill="${escaped(this.fillStyle)}"${this.opacity()}/>`);
	}

	stroke(): void {
		if (this.path !== "") this.parts.push(`<path d="${this.path}" fill="none"${this.strokeAttributes()}${this.opacity()}/>`);
	}

	fillRect(x: number, y: number, width: number, height: number): void {
		const box = `x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"`;
		this.parts.push(`<rect ${box} fill="${escaped(this.fillStyle)}"${this.opacity()}/>`);
	}

	fillText(text: string, x: number, y: number, maxWidth = Infinity): void {
		this.text(text, x, y, maxWidth, ` fill="${escaped(this.fillStyle)}"`);
	}

	strokeText(text: string, x: number, y: number, maxWidth = Infinity): void {
		this.text(text, x, y, maxWidth, ` fill="none"${this.strokeAttributes()}`);
	}

	private text(text: string, x: number, y: number, maxWidth: number, ink: string): void {
		const [, weight = "400", size = "10", family = "sans-serif"] = /^(?:(\d+) )?([\d.]+)px (.*)$/.exec(this.font) ?? [];
		const em = Number(size);
		const drop = this.textBaseline === "top" ? TOP_TO_BASELINE : this.textBaseline === "middle" ? MIDDLE_TO_BASELINE : 0;
		const anchor =
			this.textAlign === "center" ? "middle" : this.textAlign === "right" || this.textAlign === "end" ? "end" : "start";
		const squeezed =
			text.length * em * CHARACTER > maxWidth ? ` textLength="${number(maxWidth)}" lengthAdjust="spacingAndGlyphs"` : "";
		this.parts.push(
			`<text x="${number(x)}" y="${number(y + drop * em)}" font-family="${escaped(family)}" font-size="${number(em)}" ` +
				`font-weight="${weight}" text-anchor="${anchor}"${squeezed}${ink}${this.opacity()}>${escaped(visible(text))}</text>`,
		);
	}

	private strokeAttributes(): string {
		const dash = this.dash.length === 0 ? "" : ` stroke-dasharray="${this.dash.map(number).join(" ")}"`;
		const join = this.lineJoin === "miter" ? "" : ` stroke-linejoin="${this.lineJoin}"`;
		return ` stroke="${escaped(this.strokeStyle)}" stroke-width="${number(this.lineWidth)}"${dash}${join}`;
	}

	private opacity(): string {
		return this.globalAlpha === 1 ? "" : ` opacity="${number(this.globalAlpha)}"`;
	}
}

function number(value: number): string {
	return String(Math.round(value * 100) / 100);
}

/** Lone halves of surrogate pairs, which no XML may hold. */
const LONE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]|[\uFFFE\uFFFF]/g;

/** As text or as an attribute of XML. */
export function escaped(text: string): string {
	return text
		.replace(LONE, "\uFFFD")
		.replaceAll("&", "&amp;")
		.replaceAll("<", "&lt;")
		.replaceAll(">", "&gt;")
		.replaceAll('"', "&quot;");
}

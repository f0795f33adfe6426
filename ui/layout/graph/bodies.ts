/**
 * What the layout moves: boxes with a place and a size, joined by springs. Nodes within a namespace and namespaces among each other
 * are laid out by the same forces.
 */
export interface Point {
	readonly x: number;
	readonly y: number;
}

export interface Body {
	/** Seeds its first place, and breaks ties. */
	readonly id: string;
	/** Centre. */
	x: number;
	y: number;
	readonly halfWidth: number;
	readonly halfHeight: number;
	/** Stays where it is while others find their place. */
	readonly fixed: boolean;
}

/** From a caller to whom it calls, by index. */
export interface Spring {
	readonly from: number;
	readonly to: number;
}

/** Draws a body towards a place outside of what is laid out. */
export interface Anchor {
	readonly body: number;
	readonly x: number;
	readonly y: number;
}

/** Room between two bodies that are joined. */
export const GAP = 84;

export function radiusOf(body: Body): number {
	return Math.max(body.halfWidth, body.halfHeight);
}

/** A number from 0 to below 1 that depends on the text alone (FNV-1a, mixed). */
export function hashOf(text: string): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
	hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
	hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
	return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

export interface Bounds {
	readonly left: number;
	readonly top: number;
	readonly right: number;
	readonly bottom: number;
}

export function boundsOf(bodies: readonly Omit<Body, "id" | "fixed">[]): Bounds {
	let left = Infinity;
	let top = Infinity;
	let right = -Infinity;
	let bottom = -Infinity;
	for (const { x, y, halfWidth, halfHeight } of bodies) {
		left = Math.min(left, x - halfWidth);
		right = Math.max(right, x + halfWidth);
		top = Math.min(top, y - halfHeight);
		bottom = Math.max(bottom, y + halfHeight);
	}
	return { left, top, right, bottom };
}

/**
 * Scratch arrays that live as long as the thread: building forty blocks a second from fresh arrays spends a tenth of the CPU on
 * collecting them. Each taker owns one array and hands out views of it, valid until it is asked again.
 */

/** Memory above this is given back after use, so that one giant batch does not weigh for ever. */
const KEEP_ELEMENTS = 1 << 20;

/** Bytes that a writer or a dictionary keeps from one block to the next: twice the texts of 16,384 usual spans. */
export const KEEP_BYTES = 8 << 20;

/** How large to make memory of `now` bytes that needs `needed`: twice as large while that is little, a quarter more when it is much. */
export function roomFor(needed: number, now: number): number {
	return Math.max(needed, now < KEEP_BYTES ? now * 2 : now + (now >> 2));
}

export function wordScratch(): (length: number) => Uint32Array<ArrayBuffer> {
	let array = new Uint32Array(0);
	return (length) => {
		if (length > array.length || array.length > KEEP_ELEMENTS) array = new Uint32Array(Math.max(length, 1024));
		return array.subarray(0, length);
	};
}

export function byteScratch(): (length: number) => Uint8Array<ArrayBuffer> {
	let array = new Uint8Array(0);
	return (length) => {
		if (length > array.length || array.length > KEEP_ELEMENTS) array = new Uint8Array(Math.max(length, 1024));
		return array.subarray(0, length);
	};
}

export function floatScratch(): (length: number) => Float64Array<ArrayBuffer> {
	let array = new Float64Array(0);
	return (length) => {
		if (length > array.length || array.length > KEEP_ELEMENTS) array = new Float64Array(Math.max(length, 1024));
		return array.subarray(0, length);
	};
}

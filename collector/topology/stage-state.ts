/** What the stage must know besides its cursor to go on after a crash: the maturity watermark, epoch ms. */
const VERSION = 1;

export function encodeStageState(watermarkMs: number): Uint8Array {
	const state = new Uint8Array(9);
	state[0] = VERSION;
	new DataView(state.buffer).setFloat64(1, watermarkMs);
	return state;
}

/** @returns 0 where there is no state: everything is ahead */
export function decodeStageState(state: Uint8Array): number {
	if (state.length === 0) return 0;
	if (state.length !== 9 || state[0] !== VERSION) throw new Error("the topology stage's state is of another version");
	return new DataView(state.buffer, state.byteOffset).getFloat64(1);
}

/**
 * What a zstd frame of a part costs with a context of its own, as Node's functions make it, and with one that is kept: CPU microseconds
 * a call, both in turn, and the memory that stays until everything is collected.
 *
 * `node --expose-gc bench/zstd-contexts.ts [rounds]`
 */
import { setTimeout as sleep } from "node:timers/promises";
import { oneShotZstd, type Zstd, zstd } from "../store/block/zstd.ts";
import { seededRandom } from "./mesh.ts";
import { spreadOf } from "./statistics.ts";

const [ROUNDS = 7] = process.argv.slice(2).map(Number);
const CALLS = 1_000;
const LEVEL = 1;
const SWEEP_MS = 100;
const SIZES = [1_000, 4_000, 16_000, 64_000];

/** Numbers of a column: most of them small, as entries of a dictionary are. */
function columnOf(bytes: number): Uint8Array {
	const random = seededRandom(bytes);
	return Uint8Array.from({ length: bytes }, () => Math.floor(random() ** 4 * 256));
}

function microseconds(work: () => unknown): number {
	const before = process.cpuUsage();
	for (let i = 0; i < CALLS; i++) work();
	const { user, system } = process.cpuUsage(before);
	return (user + system) / CALLS;
}

/** Bytes outside of V8's heap after collections of what is young; they are freed in another thread. */
async function keptBytes(work: () => unknown): Promise<number> {
	globalThis.gc?.();
	await sleep(SWEEP_MS);
	const before = process.memoryUsage().arrayBuffers;
	for (let i = 0; i < CALLS; i++) work();
	for (let i = 0; i < 2; i++) globalThis.gc?.({ type: "minor" });
	await sleep(SWEEP_MS);
	return process.memoryUsage().arrayBuffers - before;
}

for (const size of SIZES) {
	const content = columnOf(size);
	const frame = oneShotZstd.compress(content, LEVEL);
	const works = (of: Zstd): readonly (() => unknown)[] => [() => of.compress(content, LEVEL), () => of.decompress(frame, size)];
	for (const [i, name] of ["compress", "decompress"].entries()) {
		const own: number[] = [];
		const kept: number[] = [];
		for (let round = 0; round < ROUNDS; round++) {
			own.push(microseconds(works(oneShotZstd)[i]!));
			kept.push(microseconds(works(zstd)[i]!));
		}
		const [a, b] = [spreadOf(own), spreadOf(kept)];
		const told = (spread: typeof a): string =>
			`${spread.median.toFixed(1)} (${spread.min.toFixed(1)} - ${spread.max.toFixed(1)}) us`;
		const memory: string[] = [];
		for (const made of [oneShotZstd, zstd])
			memory.push(`${Math.max(0, (await keptBytes(works(made)[i]!)) / 2 ** 20).toFixed(1)} MiB`);
		console.log(
			`${size} B ${name}: own context ${told(a)}, kept ${told(b)}, ratio ${(b.median / a.median).toFixed(2)}; ` +
				`${CALLS} calls leave ${memory.join(" and ")}`,
		);
	}
}

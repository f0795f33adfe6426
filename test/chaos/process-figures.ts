/** What the kernel says of a running process. Linux only, as the chaos tests are. */
import { readFileSync, readdirSync } from "node:fs";

export interface ProcessSample {
	readonly atMs: number;
	readonly rssBytes: number;
	readonly descriptors: number;
}

export function sampleProcess(pid: number): ProcessSample {
	const rssKiB = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
	return { atMs: performance.now(), rssBytes: rssKiB * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

/** Samples until `stop`, which returns them all. */
export function watchProcess(pid: number, everyMs: number): { stop(): ProcessSample[] } {
	const samples = [sampleProcess(pid)];
	const timer = setInterval(() => {
		try {
			samples.push(sampleProcess(pid));
		} catch {
			// The process has ended; the test sees that by other means.
			clearInterval(timer);
		}
	}, everyMs);
	return {
		stop() {
			clearInterval(timer);
			return samples;
		},
	};
}

/** Least-squares slope of resident memory, bytes a minute. */
export function rssSlopePerMinute(samples: readonly ProcessSample[]): number {
	const minutes = samples.map(({ atMs }) => atMs / 60_000);
	const meanX = minutes.reduce((a, b) => a + b, 0) / samples.length;
	const meanY = samples.reduce((sum, { rssBytes }) => sum + rssBytes, 0) / samples.length;
	let covariance = 0;
	let variance = 0;
	for (const [i, x] of minutes.entries()) {
		covariance += (x - meanX) * (samples[i]!.rssBytes - meanY);
		variance += (x - meanX) ** 2;
	}
	return variance === 0 ? 0 : covariance / variance;
}

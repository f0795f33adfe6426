/** Two byte streams joined: back-pressure and half-close both ways, bytes counted, and an end when nothing moves for too long. */
import type { Duplex } from "node:stream";
import { breakOff } from "./break-off.ts";

export interface SpliceCounts {
	readonly toUpstream: number;
	readonly toDownstream: number;
	/** Who ended first; `proxy` for the time limit. */
	readonly closedBy: "downstream" | "upstream" | "proxy";
	/** One side broke off instead of ending. */
	readonly broken: boolean;
}

/** `idleTimeoutMs` 0: no limit. Calls back once, when both are closed. */
export function splice(down: Duplex, up: Duplex, idleTimeoutMs: number, onClosed: (counts: SpliceCounts) => void): void {
	let toUpstream = 0;
	let toDownstream = 0;
	let closedBy: SpliceCounts["closedBy"] | undefined;
	let broken = false;
	let open = 2;
	const idle =
		idleTimeoutMs > 0
			? setTimeout(() => {
					closedBy ??= "proxy";
					down.destroy();
					up.destroy();
				}, idleTimeoutMs)
			: undefined;

	const join = (from: Duplex, to: Duplex, name: "downstream" | "upstream", count: (bytes: number) => void): void => {
		from.on("data", (chunk: Buffer) => {
			count(chunk.length);
			idle?.refresh();
			if (!to.destroyed && !to.writableEnded && !to.write(chunk)) from.pause();
		});
		to.on("drain", () => from.resume());
		from.on("end", () => {
			closedBy ??= name;
			if (!to.destroyed) to.end();
		});
		from.on("error", () => {
			closedBy ??= name;
			broken = true;
		});
		const onClose = (): void => {
			closedBy ??= name;
			// What was written to the other side still leaves; a side that broke takes the other with it.
			if (broken || !from.readableEnded) breakOff(to);
			else if (!to.destroyed) {
				to.end();
				// Nobody takes what it still sends, so that its end is seen.
				to.resume();
			}
			if (--open > 0) return;
			clearTimeout(idle);
			onClosed({ toUpstream, toDownstream, closedBy, broken });
		};
		if (from.closed) process.nextTick(onClose);
		else from.on("close", onClose);
	};
	join(down, up, "downstream", (bytes) => (toUpstream += bytes));
	join(up, down, "upstream", (bytes) => (toDownstream += bytes));
	down.resume();
	up.resume();
}

/** The layout in a thread of its own, so that a page of a thousand nodes can be panned while it is computed. */
import { layoutGraph } from "./layout.ts";
import type { LayoutAnswer, LayoutRequest } from "./layout.ts";

export interface LayoutJob {
	readonly id: number;
	readonly request: LayoutRequest;
}

export interface LayoutDone {
	readonly id: number;
	readonly answer: LayoutAnswer;
}

self.addEventListener("message", ({ data }: MessageEvent<LayoutJob>) => {
	const done: LayoutDone = { id: data.id, answer: layoutGraph(data.request) };
	self.postMessage(done);
});

/**
 * Memory that is no longer used, given back when it is much rather than when V8 gets to it: of buffers it lets 64 MB gather in each
 * thread before it looks, and more than one thread works on the same long texts.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Texts of which a block's making leaves several times as many bytes behind. Collecting costs some milliseconds, making it far more. */
const MUCH_BYTES = 6 << 20;

type Collect = (options: {
	readonly type: "major";
	readonly execution: "sync";
	/** `last-resort` gives the heap's empty pages back too. */
	readonly flavor: "regular" | "last-resort";
}) => void;

let collector: Collect | undefined;

/** To be called after work on so many bytes of texts. */
export function collectAfter(textBytes: number): void {
	if (textBytes < MUCH_BYTES) return;
	collector ??= exposeCollector();
	collector({ type: "major", execution: "sync", flavor: "regular" });
}

/** V8's collector of this thread's heap. Nothing in the language asks for it, so V8's flag does. */
export function exposeCollector(): Collect {
	setFlagsFromString("--expose-gc");
	const collect: unknown = runInNewContext("gc");
	setFlagsFromString("--no-expose-gc");
	return isCollect(collect) ? collect : () => {};
}

function isCollect(value: unknown): value is Collect {
	return typeof value === "function";
}

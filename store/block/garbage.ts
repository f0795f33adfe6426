/**
 * Memory that nobody has any more, given back when it is much rather than when V8 gets to it: of buffers it lets 64 MB gather in each
 * thread before it looks, and more than one thread works on the same long texts.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Texts of which a block's making leaves several times as many bytes behind. Collecting costs some milliseconds, making it far more. */
const MUCH_BYTES = 6 << 20;

/** To be called after work on so many bytes of texts. */
export function collectAfter(textBytes: number): void {
	if (textBytes >= MUCH_BYTES) collector()?.({ type: "major", execution: "sync" });
}

type Collect = (options: { readonly type: "major"; readonly execution: "sync" }) => void;
let known: { readonly collect: Collect | undefined } | undefined;

/** Nothing in the language asks for it, so V8's flag does. */
function collector(): Collect | undefined {
	if (known === undefined) {
		setFlagsFromString("--expose-gc");
		const collect: unknown = runInNewContext("gc");
		setFlagsFromString("--no-expose-gc");
		known = { collect: isCollect(collect) ? collect : undefined };
	}
	return known.collect;
}

function isCollect(value: unknown): value is Collect {
	return typeof value === "function";
}

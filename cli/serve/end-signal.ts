/** The signals by which a server is told to end. */
import type { Log } from "./log.ts";

/** Ctrl-C under npm arrives twice, from the terminal and from npm; only a signal after this is a second one of the person's. */
const SAME_SIGNAL_MS = 500;

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function endSignal(log: Log): Promise<NodeJS.Signals> {
	return new Promise((resolve) => {
		let firstMs: number | undefined;
		const onSignal = (signal: NodeJS.Signals): void => {
			firstMs ??= performance.now();
			if (performance.now() - firstMs > SAME_SIGNAL_MS) {
				log.warn({ signal }, "second signal; ending at once");
				process.exit(signal === "SIGINT" ? 130 : 143);
			}
			resolve(signal);
		};
		process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
	});
}

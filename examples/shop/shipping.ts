/** The flaky one: it works for a while, then fails for a while, so that its callers' circuit breaker opens and closes again. */
import type { Server } from "node:http";
import { serveJson } from "./app.ts";
import type { AppSettings } from "./app.ts";

const WAVE_MS = 40_000;
/** Within each wave. */
const FAILS_FROM_MS = 8_000;
const FAILS_UNTIL_MS = 24_000;
const FAILING_SHARE = 0.9;

export function start(settings: AppSettings): Server {
	const startedMs = performance.now();
	return serveJson(settings, () => {
		const inWaveMs = (performance.now() - startedMs) % WAVE_MS;
		const isBad = inWaveMs >= FAILS_FROM_MS && inWaveMs < FAILS_UNTIL_MS && Math.random() < FAILING_SHARE;
		return isBad ? { status: 503, body: { error: "no courier" } } : { status: 200, body: { quote: 4.9, courier: "express" } };
	});
}

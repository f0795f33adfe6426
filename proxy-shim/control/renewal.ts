/** When a certificate is renewed, and when a failed attempt is made again. Pure. */

/**
 * At half of its life, give or take one percent, so that proxies which started together do not ask together.
 * @param receivedMs when it came: certificates are back-dated, so its own beginning does not tell
 * @param random from 0 to 1
 */
export function renewAtMs(receivedMs: number, notAfterMs: number, random: number): number {
	return receivedMs + (notAfterMs - receivedMs) * (0.49 + 0.02 * random);
}

/**
 * Full jitter between nothing and a bound that doubles (AWS Architecture Blog, "Exponential Backoff And Jitter"), and never less than a
 * tenth of the bound, so that a refusing peer is not asked at once.
 * @param attempt from 0
 */
export function backoffMs(
	attempt: number,
	random: number,
	{ baseMs, maxMs }: { readonly baseMs: number; readonly maxMs: number },
): number {
	const bound = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
	return bound * (0.1 + 0.9 * random);
}

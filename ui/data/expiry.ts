/** When the end of a certificate is a reason to act. */

export type ExpiryState = "expired" | "near" | "far";

export const EXPIRY_WORDS: Readonly<Record<ExpiryState, string>> = { expired: "expired", near: "expires soon", far: "" };

/**
 * Meshes renew leaves at a half to four fifths of their lives, so one with less than a sixth left was not renewed. Where the life is
 * not known, the last hour counts: leaves of a day, the usual ones, are renewed hours before it.
 */
const LEAST_LEFT = 1 / 6;
const LAST_MS = 3_600_000;

/** @param notBeforeMs undefined where it is not known */
export function expiryOf(notAfterMs: number, notBeforeMs: number | undefined, nowMs: number): ExpiryState {
	const leftMs = notAfterMs - nowMs;
	if (leftMs <= 0) return "expired";
	const nearMs = notBeforeMs === undefined ? LAST_MS : (notAfterMs - notBeforeMs) * LEAST_LEFT;
	return leftMs < nearMs ? "near" : "far";
}

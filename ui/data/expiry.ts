/** When the end of a certificate is a reason to act. */

export type ExpiryState = "expired" | "near" | "far";

export const EXPIRY_WORDS: Readonly<Record<ExpiryState, string>> = { expired: "expired", near: "expires soon", far: "" };

/**
 * Meshes renew leaves at a half to four fifths of their lives, so one with less than a sixth left was not renewed; of a root that
 * lives for years, the last 30 days count. Where the life is not known, the last hour does: leaves of a day, the usual ones, are
 * renewed hours before it.
 */
const LEAST_LEFT = 1 / 6;
const LONGEST_NEAR_MS = 30 * 86_400_000;
const LAST_MS = 3_600_000;

/** @param notBeforeMs undefined where it is not known */
export function expiryOf(notAfterMs: number, notBeforeMs: number | undefined, nowMs: number): ExpiryState {
	const leftMs = notAfterMs - nowMs;
	if (leftMs <= 0) return "expired";
	const nearMs = notBeforeMs === undefined ? LAST_MS : Math.min((notAfterMs - notBeforeMs) * LEAST_LEFT, LONGEST_NEAR_MS);
	return leftMs < nearMs ? "near" : "far";
}

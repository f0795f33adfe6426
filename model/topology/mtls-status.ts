/**
 * mTLS over a window: counts by status, what they come to, and a percentage that never says "all" or "none" when it is not so.
 *
 * Counts are summed, never overwritten, and always of one unit.
 */
import type { MtlsStatus, Verification } from "./series.ts";

export type MtlsCounts = Readonly<Record<MtlsStatus, number>>;

export function noMtlsCounts(): Record<MtlsStatus, number> {
	return { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };
}

export const DEFINITE_STATUSES = ["mutual_tls", "tls", "plaintext", "none", "mixed"] as const satisfies readonly MtlsStatus[];

export const MTLS_STATUSES = [...DEFINITE_STATUSES, "unknown"] as const satisfies readonly MtlsStatus[];

/** Best first. */
export function verificationRank(verification: Verification): number {
	switch (verification) {
		case "server":
			return 0;
		case "client":
			return 1;
		case "metric":
			return 2;
		case "header":
			return 3;
		case "":
			return 4;
	}
}

/**
 * What several statuses come to: two definite ones are `mixed`, `unknown` mixes with nothing. `none` says "not mutual TLS", which
 * plaintext and one-way TLS are too, so beside those it is no contradiction.
 */
export function overallStatus(statuses: ReadonlySet<MtlsStatus>): MtlsStatus {
	const definite = DEFINITE_STATUSES.filter((status) => statuses.has(status));
	if (definite.length === 0) return "unknown";
	if (definite.length === 1) return definite[0]!;
	const isNone =
		definite.includes("none") && definite.length === 2 && (definite.includes("plaintext") || definite.includes("tls"));
	return isNone ? "none" : "mixed";
}

export function statusesOf(counts: MtlsCounts): Set<MtlsStatus> {
	return new Set((Object.keys(counts) as MtlsStatus[]).filter((status) => counts[status] > 0));
}

/**
 * Share of mutual TLS among what is known, 0 to 100; undefined when nothing is. 0 and 100 are exact: what lies between them is never
 * rounded to them.
 */
export function mtlsPercent(counts: MtlsCounts): number | undefined {
	const others = counts.tls + counts.plaintext + counts.none + counts.mixed;
	const mutual = counts.mutual_tls;
	if (mutual <= 0) return others <= 0 ? undefined : 0;
	if (others <= 0) return 100;
	return Math.min(Math.max((100 * mutual) / (mutual + others), Number.MIN_VALUE), ALMOST_ALL);
}

/** The greatest number below 100. */
const ALMOST_ALL = 100 - 2 ** -46;

/** `14.15 %`, `99.6 %`, `99.9996 %`: two decimals, and more where fewer would read 0 or 100. */
export function formatPercent(percent: number): string {
	for (let digits = 2; digits < 20; digits++) {
		const rounded = Number(percent.toFixed(digits));
		if ((rounded === 0) === (percent === 0) && (rounded === 100) === (percent === 100)) return `${rounded} %`;
	}
	return percent < 50 ? "> 0 %" : "< 100 %";
}

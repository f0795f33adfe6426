/** What a change of an edge is called, and what it says from → to. */
import type { GraphDiffAnswer } from "../../api/contract/topology.ts";
import { formatPercent } from "../../model/topology/mtls-status.ts";
import { formatCount, formatDuration, formatRate } from "../base/format.ts";
import { MTLS_WORDS } from "./mtls-words.ts";

export type EdgeChange = GraphDiffAnswer["changes"][number];
export type EdgeNumbers = NonNullable<EdgeChange["after"]>;

/** In the address (`kind=`), with what its tab says; those that call for somebody first. */
export const CHANGE_KINDS = {
	"encryption-lost": "Encryption lost",
	failing: "Failing",
	slower: "Slower",
	new: "New",
	gone: "Gone",
	"encryption-gained": "Encryption gained",
	recovered: "Recovered",
	faster: "Faster",
	"more-traffic": "More traffic",
	"less-traffic": "Less traffic",
} as const;
export type ChangeKind = keyof typeof CHANGE_KINDS;

export function isChangeKind(text: string): text is ChangeKind {
	return Object.hasOwn(CHANGE_KINDS, text);
}

/** @param kind undefined for any */
export function isOfKind(change: EdgeChange, kind: ChangeKind | undefined): boolean {
	return kind === undefined || effectsOf(change).some((effect) => effect.kind === kind);
}

/** One thing that changed. */
export interface Effect {
	readonly kind: ChangeKind;
	/** What is measured: `p95`, `errors`. Empty where there is no other side. */
	readonly what: string;
	readonly from: string;
	readonly to: string;
}

/** Every change of an edge, the greatest first, as the server ranked them. */
export function effectsOf(change: EdgeChange): readonly Effect[] {
	const { before, after } = change;
	if (change.kind === "added" || before === undefined)
		return [{ kind: "new", what: "", from: "nothing", to: after === undefined ? "" : trafficText(change, after) }];
	if (change.kind === "gone" || after === undefined)
		return [{ kind: "gone", what: "", from: trafficText(change, before), to: "nothing" }];
	return change.effects.map(({ what }) => effectOf(change, what, before, after));
}

function effectOf(
	change: EdgeChange,
	what: EdgeChange["effects"][number]["what"],
	before: EdgeNumbers,
	after: EdgeNumbers,
): Effect {
	switch (what) {
		case "rate":
			return {
				kind: after.ratePerSecond > before.ratePerSecond ? "more-traffic" : "less-traffic",
				what: "rate",
				from: rateText(change, before),
				to: rateText(change, after),
			};
		case "errors":
			return {
				kind: after.errorRatio > before.errorRatio ? "failing" : "recovered",
				what: "errors",
				from: errorText(before),
				to: errorText(after),
			};
		case "p95":
			return {
				kind: (after.p95Ms ?? 0) > (before.p95Ms ?? 0) ? "slower" : "faster",
				what: "p95",
				from: latencyText(before.p95Ms),
				to: latencyText(after.p95Ms),
			};
		case "mtls":
			return {
				kind: (after.mtlsPercent ?? 0) < (before.mtlsPercent ?? 0) ? "encryption-lost" : "encryption-gained",
				what: "encryption",
				from: mtlsText(before),
				to: mtlsText(after),
			};
	}
}

/** `120 requests (2 a second), mutual TLS`: an edge that has no other side is told whole. */
function trafficText(change: EdgeChange, numbers: EdgeNumbers): string {
	const unit = numbers.count === 1 ? change.unit.slice(0, -1) : change.unit;
	return `${formatCount(numbers.count)} ${unit}, ${rateText(change, numbers)}, ${mtlsText(numbers)}`;
}

function rateText(change: EdgeChange, { ratePerSecond }: EdgeNumbers): string {
	return `${formatRate(ratePerSecond)} ${change.unit === "requests" ? "req/s" : "conn/s"}`;
}

function errorText({ errorRatio, errors, count }: EdgeNumbers): string {
	return `${formatPercent(errorRatio * 100)} (${formatCount(errors)} of ${formatCount(count)})`;
}

function latencyText(ms: number | undefined): string {
	return ms === undefined ? "not measured" : formatDuration(ms * 1e6);
}

function mtlsText({ mtlsStatus, mtlsPercent }: EdgeNumbers): string {
	const share = mtlsStatus === "mixed" && mtlsPercent !== undefined ? `, ${formatPercent(mtlsPercent)} mutual TLS` : "";
	return `${mtlsStatus === "unknown" ? "encryption unknown" : MTLS_WORDS[mtlsStatus]}${share}`;
}

/** What narrows a search to traces that show the change. */
export function traceFilterOf(change: EdgeChange): Readonly<Record<string, string>> {
	const [greatest] = effectsOf(change);
	switch (greatest?.kind) {
		case "failing":
			return { status: "error" };
		case "slower":
			return change.before?.p95Ms === undefined ? {} : { minDuration: `${Math.max(1, Math.round(change.before.p95Ms))}ms` };
		case "encryption-lost":
			return { mtls: "plaintext" };
		default:
			return {};
	}
}

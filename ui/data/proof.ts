/** What may be said of an edge's encryption to somebody who was not there, and with which reservations. Pure. */
import type { GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { formatPercent } from "../../model/topology/mtls-status.ts";
import { countOf, formatCount } from "../base/format.ts";
import { knownCount, trafficOf, unprotectedCount } from "./mtls-rows.ts";

/** From best to worst: seen and checked, told only, some of it, none of it, nobody knows. */
export type Verdict = "proven" | "told" | "partly" | "refuted" | "unknown";

export const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
	proven: "Encrypted with mutual TLS",
	told: "Mutual TLS, with reservations",
	partly: "Encrypted in part",
	refuted: "Not mutual TLS",
	unknown: "Not known",
};

export interface Proof {
	readonly verdict: Verdict;
	readonly sentence: string;
	/** What a careful reader would ask; empty for none. */
	readonly reservations: readonly string[];
}

/** @param nowMs end of the range: certificates are judged by it */
export function proofOf(edge: GraphEdgeAnswer, nowMs: number): Proof {
	const { mtls } = edge;
	const unit = edge.unit === "requests" ? "requests" : "connections";
	const known = knownCount(mtls.counts);
	const reservations = reservationsOf(edge, nowMs);
	if (known === 0)
		return {
			verdict: "unknown",
			sentence: `Of none of the ${formatCount(trafficOf(edge))} ${unit} is the encryption known.`,
			reservations,
		};
	const bad = unprotectedCount(mtls.counts);
	if (bad > 0 || mtls.status !== "mutual_tls") {
		const share = mtls.percent === undefined ? "" : `, which is ${formatPercent(mtls.percent)} mutual TLS`;
		const sentence = `${formatCount(bad)} of ${formatCount(known)} ${unit} whose encryption is known were not mutual TLS${share}.`;
		return { verdict: mtls.counts.mutual_tls > 0 ? "partly" : "refuted", sentence, reservations };
	}
	const all = `All ${formatCount(known)} ${unit} whose encryption is known were mutual TLS`;
	const checked = mtls.verified ? ", and an end of each connection checked the other's certificate" : "";
	return { verdict: reservations.length === 0 ? "proven" : "told", sentence: `${all}${checked}.`, reservations };
}

function reservationsOf(edge: GraphEdgeAnswer, nowMs: number): readonly string[] {
	const { mtls, sampled, unit } = edge;
	const found: string[] = [];
	if (mtls.contradicted) found.push("Evidence as good as the counted one says otherwise.");
	if (mtls.counts.unknown > 0) found.push(`Of ${countOf(mtls.counts.unknown, unit.slice(0, -1))} nobody told the encryption.`);
	if (mtls.counts.mutual_tls > 0 && !mtls.verified)
		found.push("No end of the connection says that it checked every certificate: mutual TLS is told by others.");
	if (sampled) found.push("The counts may be a sample: of requests that were left out nothing is known.");
	if (mtls.sourcePrincipals.length === 0 || mtls.destinationPrincipals.length === 0)
		found.push("The identity of one end was not told.");
	if (mtls.certificateNotAfter !== undefined && Date.parse(mtls.certificateNotAfter) <= nowMs)
		found.push("A certificate in use had run out before the range ended.");
	return found;
}

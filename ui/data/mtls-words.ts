/** Words for what the API says about encryption. */
import type { MtlsAnswer } from "../../api/contract/topology.ts";

export type MtlsStatus = keyof MtlsAnswer["coverage"]["edges"]["counts"];

export const MTLS_WORDS: Readonly<Record<MtlsStatus, string>> = {
	mutual_tls: "mutual TLS",
	tls: "one-way TLS",
	plaintext: "plaintext",
	none: "no mutual TLS",
	mixed: "mixed",
	unknown: "unknown",
};

/** Who vouches for a finding, in words; how good the word is stands in docs/topology.md. */
export const VERIFIED_WORDS = {
	server: "the server’s check",
	client: "the client’s check",
	metric: "a proxy's metric",
	header: "a header only",
	"": "nobody",
} as const;

export const REPORTER_WORDS = {
	both: "both ends",
	source: "the caller",
	destination: "the callee",
	waypoint: "a waypoint between",
} as const;

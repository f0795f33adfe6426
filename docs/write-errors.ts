/**
 * Writes docs/errors.md from the tables of model/errors.ts. test/errors-doc.test.ts keeps the two equal.
 *
 *   node docs/write-errors.ts
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DROP_REASONS, ERRORS, TOPOLOGY_LOSSES } from "../model/errors.ts";
import type { ErrorEntry } from "../model/errors.ts";

/** Names of grpc/grpc doc/statuscodes.md. */
const GRPC_NAMES: Readonly<Record<number, string>> = {
	3: "INVALID_ARGUMENT",
	4: "DEADLINE_EXCEEDED",
	5: "NOT_FOUND",
	7: "PERMISSION_DENIED",
	8: "RESOURCE_EXHAUSTED",
	12: "UNIMPLEMENTED",
	13: "INTERNAL",
	14: "UNAVAILABLE",
	16: "UNAUTHENTICATED",
};

export const ERRORS_DOC = join(import.meta.dirname, "errors.md");

export function errorsDocument(
	errors: Readonly<Record<string, ErrorEntry>>,
	dropReasons: Readonly<Record<string, string>>,
	topologyLosses: Readonly<Record<string, string>>,
): string {
	return [
		"# Errors",
		"",
		"<!-- Written by `node docs/write-errors.ts` from model/errors.ts. -->",
		"",
		"Every error that leaves the process carries one of these codes. Act on the code, not on the message: the message names the",
		"field and the fix and may change.",
		"",
		'The API answers `{"error":{"code","message","details"?}}`; OTLP and Zipkin receivers answer as their protocols say, with',
		"the status given here. *Retry* says whether the same request may succeed later unchanged; such an answer carries the delay",
		"(`Retry-After`, or `RetryInfo` over gRPC).",
		"",
		"| Code | HTTP | gRPC | Retry | What happened | What to do |",
		"| --- | --- | --- | --- | --- | --- |",
		...Object.entries(errors).map(([code, entry]) =>
			row([`\`${code}\``, `${entry.http}`, grpcName(entry.grpc), yes(entry.retryable), entry.meaning, entry.fix]),
		),
		"",
		"## Records left out",
		"",
		"A record that cannot be kept is left out of its batch; the rest of the batch is stored, and the answer says how many were",
		"rejected. They are counted by reason and signal in `/api/v1/status` and `/metrics`.",
		"",
		"| Reason | What was wrong |",
		"| --- | --- |",
		...Object.entries(dropReasons).map(([reason, meaning]) => row([`\`${reason}\``, meaning])),
		"",
		"## Left out of the graph",
		"",
		"What the topology stage could not use, or said before its time. The records themselves are stored and found. Counted by reason",
		"in `/api/v1/status` and `/metrics`.",
		"",
		"| Reason | What happened |",
		"| --- | --- |",
		...Object.entries(topologyLosses).map(([reason, meaning]) => row([`\`${reason}\``, meaning])),
		"",
	].join("\n");
}

function row(cells: readonly string[]): string {
	return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function yes(value: boolean): string {
	return value ? "yes" : "no";
}

function grpcName(status: number): string {
	const name = GRPC_NAMES[status];
	if (name === undefined) throw new Error(`gRPC status ${status} has no name in docs/write-errors.ts`);
	return `${status} ${name}`;
}

if (import.meta.main) writeFileSync(ERRORS_DOC, errorsDocument(ERRORS, DROP_REASONS, TOPOLOGY_LOSSES));

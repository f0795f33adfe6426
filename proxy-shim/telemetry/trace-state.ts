/**
 * The `tracestate` header (W3C Trace Context level 2, section 3.3): whether it is well-formed, and our member of it.
 *
 * Our member is `meshscope=<span id>`. Where the id is the one in `traceparent`, the span's own proxy is at the other end: it counts
 * the exchange too, and neither must be added to the other. Anything between that makes a span of its own breaks the equality.
 */

const MAX_CHARACTERS = 4096;
const MAX_MEMBERS = 32;
const OWN_KEY = "meshscope=";
const OWN_CHARACTERS = OWN_KEY.length + 16;
const OWN_MEMBER = /^meshscope=[0-9a-f]{16}(?:,ot=th:0)?$/;

/** OpenTelemetry's word for a sampler that keeps every trace (specification, trace/tracestate-probability-sampling.md). */
export const ALL_SAMPLED = "ot=th:0";
const OWN_OF_ALL_CHARACTERS = OWN_CHARACTERS + 1 + ALL_SAMPLED.length;

/** A key, perhaps `tenant@system`; a value of printable characters without comma and equals sign that does not end in a space. */
const MEMBER =
	/^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/;

/** The members as they came, empty ones left out; empty where the header breaks a rule. Duplicate keys are kept as they are. */
export function readTraceState(header: string | undefined): string {
	if (header === undefined || header === "" || header.length > MAX_CHARACTERS) return "";
	// From proxy to proxy it is mostly our member, alone or with the word that every trace is kept.
	if ((header.length === OWN_CHARACTERS || header.length === OWN_OF_ALL_CHARACTERS) && OWN_MEMBER.test(header)) return header;
	const members: string[] = [];
	for (const part of header.split(",")) {
		const member = part.replace(/^[ \t]+|[ \t]+$/g, "");
		if (member === "") continue;
		if (!MEMBER.test(member) || members.length === MAX_MEMBERS) return "";
		members.push(member);
	}
	return members.join(",");
}

/** Who sent this span's context counts the exchange as well: it is the proxy of the caller, with nothing between. */
export function isFromProxy(traceState: string, parentSpanId: string): boolean {
	return parentSpanId !== "" && traceState.startsWith(OWN_KEY) && traceState.startsWith(parentSpanId, OWN_KEY.length);
}

/** Without our own member, which differs with every span and says nothing once it was read. */
export function withoutOwnMember(traceState: string): string {
	if (!traceState.includes(OWN_KEY)) return traceState;
	if (traceState.length === OWN_CHARACTERS && traceState.startsWith(OWN_KEY)) return "";
	if (traceState.length === OWN_OF_ALL_CHARACTERS && OWN_MEMBER.test(traceState)) return ALL_SAMPLED;
	return traceState
		.split(",")
		.filter((member) => !member.startsWith(OWN_KEY))
		.join(",");
}

/** What is passed on: our member first, as the one that changed last; the oldest goes where there are too many. */
export function withOwnMember(traceState: string, spanId: string): string {
	const own = OWN_KEY + spanId;
	const others = withoutOwnMember(traceState);
	if (others === "") return own;
	if (others === ALL_SAMPLED) return `${own},${ALL_SAMPLED}`;
	const members = others.split(",");
	return members.length < MAX_MEMBERS ? `${own},${others}` : [own, ...members.slice(0, MAX_MEMBERS - 1)].join(",");
}

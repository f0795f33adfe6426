/** What an HTTP route of a VirtualService matches. */
import { bool, list, mapOf, object, oneOf, type Read, mapped, text, unsupported, type ValueOf } from "./fields.ts";
import { fault, within } from "./place.ts";
import { headerName, labels, dnsLabel, portNumber, presenceOrMatch, stringMatch } from "./values.ts";

/** Bound to a Gateway, a route would never see the traffic that it was written for. */
export const gateways = list(oneOf(["mesh"], {}), { nonEmpty: true });

const uriMatch = mapped(stringMatch, (match, at) => {
	if (match.kind === "exact" && match.value === "") return fault(at, "exact must not be empty");
	if (match.kind !== "regex" && !match.value.startsWith("/") && match.value !== "*")
		return fault(at, `${match.kind} must begin with a slash`);
	return match;
});

const matchedHeader: Read<string> = mapped(text(), (value, at) => {
	const instead = PSEUDO_HEADERS[value.toLowerCase()];
	if (instead !== undefined) return fault(at, `is not matched as a header: use ${instead}`);
	return headerName(value, at);
});

const PSEUDO_HEADERS: Readonly<Record<string, string>> = {
	":path": "uri",
	":method": "method",
	":authority": "authority",
	":scheme": "scheme",
	uri: "uri",
	scheme: "scheme",
	method: "method",
	authority: "authority",
	host: "authority",
};

export const readHttpMatch = object(
	{
		name: text(),
		uri: uriMatch,
		scheme: stringMatch,
		method: stringMatch,
		authority: stringMatch,
		headers: mapOf(matchedHeader, presenceOrMatch),
		withoutHeaders: mapOf(matchedHeader, presenceOrMatch),
		queryParams: mapOf(text(), presenceOrMatch),
		port: portNumber,
		sourceLabels: labels,
		sourceNamespace: dnsLabel,
		ignoreUriCase: bool,
		gateways,
		statPrefix: unsupported(),
	},
	(fields, at, present) => {
		if (fields.ignoreUriCase !== true) return;
		if (!present.has("uri")) fault(within(at, "ignoreUriCase"), "needs uri beside it");
		if (fields.uri?.kind === "regex")
			fault(within(at, "ignoreUriCase"), "does not apply to a regex: begin the regex with (?i)");
	},
);

export type HttpMatch = ValueOf<typeof readHttpMatch>;

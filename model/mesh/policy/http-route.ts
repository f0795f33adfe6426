/** An HTTP route of a VirtualService: where a request goes, and what is done to it on the way. */
import {
	atMostOne,
	exactlyOne,
	integer,
	list,
	mapped,
	object,
	oneOf,
	type Present,
	quoted,
	type Read,
	required,
	text,
	textThat,
	unsupported,
	type ValueOf,
} from "./fields.ts";
import { grpcStatusOf } from "../../grpc-status.ts";
import { readHttpMatch } from "./http-match.ts";
import { fault, nearestName, type Place, warn, within } from "./place.ts";
import { compilePattern } from "./regex.ts";
import { destination, sharesOfHundred, weight } from "./destination.ts";
import { duration, exactHost, headerOperations, percentage, portNumber } from "./values.ts";
import type { RetryCondition } from "../proxy-config.ts";

const httpStatus = integer(200, 599);

const routeDestinations = sharesOfHundred(
	list(object({ destination: required(destination), weight, headers: headerOperations }), { nonEmpty: true }),
);

// ---- answers of the proxy's own

const redirect = object(
	{
		uri: textThat((value) => (/[^!-~]|%/.test(value) ? "must be a path in visible ASCII without %VARIABLES%" : undefined)),
		authority: exactHostAndPort(),
		port: portNumber,
		scheme: oneOf(["http", "https"]),
		redirectCode: oneOfNumbers([301, 302, 303, 307, 308]),
		derivePort: unsupported("write port, and authority beside it"),
	},
	(_fields, at, present) => {
		if (present.has("port") && !present.has("authority")) fault(within(at, "port"), "needs authority beside it");
		if (present.size === 0) fault(at, "needs uri, authority or scheme");
	},
);

function exactHostAndPort(): Read<string> {
	return mapped(text(), (value, at) => {
		const [host, port, ...rest] = value.split(":");
		if (rest.length > 0 || port === undefined) return exactHost(value, at);
		if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535)
			return fault(at, `must be a host, or host:port, not ${quoted(value)}`);
		const name = exactHost(host, at);
		return name === undefined ? undefined : `${name}:${port}`;
	});
}

function oneOfNumbers(allowed: readonly number[]): Read<number> {
	return (value, at) =>
		typeof value === "number" && allowed.includes(value)
			? value
			: fault(at, `must be one of ${allowed.join(", ")}, not ${JSON.stringify(value)}`);
}

const directResponse = object({
	status: required(httpStatus),
	body: object({ string: text({ empty: "allowed" }), bytes: unsupported("use string") }),
});

// ---- rewrite

/** A head is written as latin-1, where U+010A would be a line feed: what is not visible ASCII must be percent-encoded. */
const NOT_IN_PATHS = /[^!-~]|[?#]/;

const rewrite = object(
	{
		uri: textThat((value) =>
			NOT_IN_PATHS.test(value) ? "must be a path in visible ASCII, without query and fragment" : undefined,
		),
		authority: exactHostAndPort(),
		uriRegexRewrite: mapped(
			object({ match: required(text()), rewrite: required(text({ empty: "allowed" })) }),
			(fields, at) => {
				const compiled = compilePattern(fields.match, "part");
				if (!compiled.ok) return fault(within(at, "match"), `the pattern ${compiled.reason}`);
				if (NOT_IN_PATHS.test(fields.rewrite))
					return fault(within(at, "rewrite"), "must be visible ASCII, without query and fragment");
				const { pattern, groups } = compiled;
				const replacement = replacementOf(fields.rewrite, groups);
				return replacement === undefined
					? fault(
							within(at, "rewrite"),
							`may refer to \\0 to \\${groups} (the groups of match); write \\\\ for a backslash`,
						)
					: { pattern, replacement };
			},
		),
	},
	(_fields, at, present) => {
		if (present.size === 0) fault(at, "needs uri, authority or uriRegexRewrite");
		atMostOne(at, present, ["uri", "uriRegexRewrite"]);
	},
);

/** RE2's `\1` in JavaScript's form, `$1`; undefined where it names a group that is not there. */
function replacementOf(written: string, groups: number): string | undefined {
	let valid = true;
	const replacement = written.replaceAll(/\\(.?)|\$/gs, (all, escaped: string | undefined) => {
		if (all === "$") return "$$";
		if (escaped === "\\") return "\\";
		if (escaped === undefined || !/^\d$/.test(escaped) || Number(escaped) > groups) valid = false;
		// Two digits, so that a digit that follows is not taken for one of them.
		return escaped === "0" ? "$&" : `$0${escaped}`;
	});
	return valid ? replacement : undefined;
}

// ---- retries

const CONDITIONS: readonly RetryCondition[] = [
	"connect-failure",
	"refused-stream",
	"unavailable",
	"cancelled",
	"resource-exhausted",
	"deadline-exceeded",
	"internal",
	"reset",
	"5xx",
	"gateway-error",
	"retriable-4xx",
];
/** Says only that the numbers beside it are meant. */
const STATUS_CODES = "retriable-status-codes";

export interface RetryOn {
	readonly conditions: ReadonlySet<RetryCondition>;
	readonly statuses: ReadonlySet<number>;
}

const retryOn: Read<RetryOn> = mapped(text(), (value, at) => {
	const conditions = new Set<RetryCondition>();
	const statuses = new Set<number>();
	for (const word of value.split(",").map((one) => one.trim())) {
		const condition = CONDITIONS.find((one) => one === word);
		if (condition !== undefined) conditions.add(condition);
		else if (/^[1-5]\d\d$/.test(word)) statuses.add(Number(word));
		else if (word !== STATUS_CODES) {
			const nearest = nearestName(word, CONDITIONS);
			const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
			return fault(at, `must list status codes and ${CONDITIONS.join(", ")}, not ${quoted(word)}${hint}`);
		}
	}
	return { conditions, statuses };
});

const retries = object(
	{
		attempts: integer(0, 100),
		perTryTimeout: duration(),
		retryOn,
		backoff: duration(),
		retryRemoteLocalities: unsupported("endpoints have no locality"),
		retryIgnorePreviousHosts: unsupported("a retry always prefers another host"),
	},
	(fields, at, present) => {
		if ((fields.attempts ?? 0) > 0 || (present.has("attempts") && fields.attempts === undefined)) return;
		for (const name of ["perTryTimeout", "retryOn", "backoff"]) {
			if (present.has(name))
				fault(within(at, name), "has no meaning without attempts: 0 attempts, Istio's default here, is no retry");
		}
	},
);

// ---- faults

const httpFault = object(
	{
		delay: object(
			{
				fixedDelay: required(duration()),
				percentage,
				percent: unsupported("use percentage: {value: …}"),
				exponentialDelay: unsupported("use fixedDelay"),
			},
			(_fields, at, present) => warnOfNoPercentage(at, present, "delayed"),
		),
		abort: object(
			{
				httpStatus,
				grpcStatus: mapped(
					text(),
					(value, at) =>
						grpcStatusOf(value) ??
						fault(at, `must be the name or number of a gRPC status, such as UNAVAILABLE, not ${quoted(value)}`),
				),
				percentage,
				percent: unsupported("use percentage: {value: …}"),
				http2Error: unsupported("use httpStatus or grpcStatus"),
			},
			(_fields, at, present) => {
				exactlyOne(at, present, ["httpStatus", "grpcStatus"]);
				warnOfNoPercentage(at, present, "aborted");
			},
		),
	},
	(_fields, at, present) => {
		if (present.size === 0) fault(at, "needs delay or abort");
	},
);

function warnOfNoPercentage(at: Place, present: Present, what: string): void {
	if (!present.has("percentage"))
		warn(at, `has no percentage: as in Istio no request is ${what}; write percentage: {value: 100} for all`);
}

// ---- ours

const fallback = object(
	{
		status: httpStatus,
		body: text({ empty: "allowed" }),
		contentType: textThat((value) =>
			/^[\w.+-]+\/[\w.+-]+(?:;[\x20-\x7e]*)?$/.test(value) ? undefined : "must be a media type such as application/json",
		),
		destination,
	},
	(_fields, at, present) => {
		if (!exactlyOne(at, present, ["status", "destination"]) || present.has("status")) return;
		for (const name of ["body", "contentType"])
			if (present.has(name)) fault(within(at, name), "belongs to an answer with a status, not to a destination");
	},
);

// ---- the route

export const readHttpRoute = object(
	{
		name: text(),
		match: list(readHttpMatch),
		route: routeDestinations,
		redirect,
		directResponse,
		rewrite,
		timeout: duration({ zero: "allowed" }),
		retries,
		fault: httpFault,
		mirror: destination,
		mirrorPercentage: percentage,
		mirrors: list(object({ destination: required(destination), percentage }), { nonEmpty: true }),
		headers: headerOperations,
		meshscope: object({ fallback }),
		mirrorPercent: unsupported("use mirrorPercentage: {value: …}"),
		delegate: unsupported("write the routes here"),
		corsPolicy: unsupported("leave CORS to the application"),
	},
	(_fields, at, present) => {
		if (!exactlyOne(at, present, ["route", "redirect", "directResponse"])) return;
		const answers = ["redirect", "directResponse"].find((name) => present.has(name));
		for (const name of ["fault", "rewrite", "timeout", "retries", "mirror", "mirrors", "meshscope"]) {
			if (answers !== undefined && present.has(name))
				fault(within(at, name), `has no meaning beside ${answers}, which sends nothing upstream`);
		}
		atMostOne(at, present, ["mirror", "mirrors"]);
		if (present.has("mirrorPercentage") && !present.has("mirror"))
			fault(within(at, "mirrorPercentage"), "needs mirror beside it");
	},
);

export type HttpRoutePolicy = ValueOf<typeof readHttpRoute>;

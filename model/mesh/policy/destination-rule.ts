/** Istio's DestinationRule, and our `meshscope` block in its traffic policies. */
import {
	bool,
	decimal,
	exactlyOne,
	integer,
	list,
	mapped,
	object,
	oneOf,
	required,
	text,
	textThat,
	unsupported,
	type ValueOf,
} from "./fields.ts";
import { fault, type Place, warn, within } from "./place.ts";
import { dnsLabel, duration, exportTo, headerName, hostPattern, labels, portSelector, selector } from "./values.ts";

const MAX_COUNT = 2_147_483_647;

/** RFC 6265 section 4.1.1: what could not be taken for another attribute of the cookie, or another header. */
const cookieName = textThat((value) =>
	/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? undefined : "must be a cookie's name: letters, digits and !#$%&'*+-.^_`|~",
);
const cookiePath = mapped(text({ empty: "allowed" }), (value, at) =>
	/^[\x20-\x3a\x3c-\x7e]*$/.test(value) ? value : fault(at, "must be a cookie's path: ASCII without control characters and ;"),
);

const loadBalancer = object(
	{
		simple: oneOf(["UNSPECIFIED", "ROUND_ROBIN", "LEAST_REQUEST", "LEAST_CONN", "RANDOM"], {
			PASSTHROUGH: "leave loadBalancer out, or use ROUND_ROBIN, LEAST_REQUEST or RANDOM",
		}),
		consistentHash: object(
			{
				httpHeaderName: headerName,
				httpCookie: object({
					name: required(cookieName),
					path: cookiePath,
					ttl: required(duration({ zero: "allowed" })),
					attributes: unsupported(),
				}),
				useSourceIp: bool,
				httpQueryParameterName: text(),
				ringHash: object({ minimumRingSize: integer(1, 8_388_608) }),
				maglev: unsupported("use ringHash"),
				minimumRingSize: unsupported("use ringHash.minimumRingSize"),
			},
			(fields, at, present) => {
				if (!exactlyOne(at, present, ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"])) return;
				if (fields.useSourceIp === false)
					fault(within(at, "useSourceIp"), "must be true, or be left out for another key");
			},
		),
		localityLbSetting: unsupported("endpoints have no locality"),
		warmup: unsupported(),
		warmupDurationSecs: unsupported(),
	},
	(fields, at, present) => {
		exactlyOne(at, present, ["simple", "consistentHash"]);
		if (fields.simple === "LEAST_CONN") warn(within(at, "simple"), "LEAST_CONN is Istio's old name of LEAST_REQUEST");
	},
);

const connectionPool = object({
	tcp: object({
		maxConnections: integer(1, MAX_COUNT),
		connectTimeout: duration(),
		idleTimeout: duration({ zero: "allowed" }),
		tcpKeepalive: unsupported(),
		maxConnectionDuration: unsupported(),
	}),
	http: object({
		http1MaxPendingRequests: integer(1, MAX_COUNT),
		http2MaxRequests: integer(1, MAX_COUNT),
		maxRequestsPerConnection: integer(0, MAX_COUNT),
		maxRetries: integer(0, MAX_COUNT),
		idleTimeout: duration({ zero: "allowed" }),
		h2UpgradePolicy: oneOf(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]),
		useClientProtocol: unsupported(),
		maxConcurrentStreams: unsupported(),
	}),
});

const outlierDetection = object({
	consecutive5xxErrors: integer(0, MAX_COUNT),
	consecutiveGatewayErrors: integer(0, MAX_COUNT),
	consecutiveLocalOriginFailures: integer(0, MAX_COUNT),
	splitExternalLocalOriginErrors: bool,
	interval: duration(),
	baseEjectionTime: duration(),
	maxEjectionPercent: integer(0, 100),
	minHealthPercent: integer(0, 100),
	consecutiveErrors: unsupported("use consecutive5xxErrors or consecutiveGatewayErrors"),
});

const tls = object(
	{
		mode: required(oneOf(["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"])),
		clientCertificate: text(),
		privateKey: text(),
		caCertificates: text(),
		subjectAltNames: list(text()),
		sni: text(),
		insecureSkipVerify: bool,
		credentialName: unsupported("name the files: clientCertificate, privateKey, caCertificates"),
		caCrl: unsupported(),
	},
	(fields, at, present) => {
		if (fields.mode === "MUTUAL") {
			for (const name of ["clientCertificate", "privateKey"])
				if (!present.has(name)) fault(at, `needs ${name}: mode MUTUAL shows a certificate of its own`);
		}
		const allowed = TLS_FIELDS[fields.mode];
		for (const name of present) {
			if (TLS_FIELDS.MUTUAL.includes(name) && !allowed.includes(name))
				fault(within(at, name), `has no meaning with mode ${fields.mode}: leave it out`);
		}
	},
);

const TLS_FIELDS: Readonly<Record<"DISABLE" | "SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL", readonly string[]>> = {
	DISABLE: [],
	SIMPLE: ["caCertificates", "subjectAltNames", "sni", "insecureSkipVerify"],
	MUTUAL: ["clientCertificate", "privateKey", "caCertificates", "subjectAltNames", "sni", "insecureSkipVerify"],
	ISTIO_MUTUAL: ["subjectAltNames", "sni"],
};

const retryBudgetOfIstio = object({ percent: decimal(0, 100), minRetryConcurrency: integer(0, MAX_COUNT) });

const ours = object({
	breaker: object(
		{
			slidingWindowSize: integer(1, 100_000),
			minimumNumberOfCalls: integer(1, 100_000),
			failureRateThreshold: decimal(1, 100),
			slowCallDurationThreshold: duration(),
			slowCallRateThreshold: decimal(1, 100),
			waitDurationInOpenState: duration(),
			permittedNumberOfCallsInHalfOpenState: integer(1, 100_000),
			maxWaitDurationInHalfOpenState: duration({ zero: "allowed" }),
		},
		(fields, at) => {
			const window = fields.slidingWindowSize ?? 100;
			if ((fields.minimumNumberOfCalls ?? 0) > window)
				fault(
					within(at, "minimumNumberOfCalls"),
					`must be at most slidingWindowSize (${window}): the breaker would never open`,
				);
		},
	),
	retryBudget: object({ percent: decimal(0, 100), minConcurrent: integer(0, MAX_COUNT) }),
	loadBalancer: oneOf(["PEAK_EWMA"]),
	successRate: object({
		minimumHosts: integer(1, MAX_COUNT),
		requestVolume: integer(1, MAX_COUNT),
		stdevFactor: decimal(0, 100),
	}),
});

const policyShape = {
	loadBalancer,
	connectionPool,
	outlierDetection,
	tls,
	retryBudget: retryBudgetOfIstio,
	meshscope: ours,
};

function checkPolicy(
	fields: { readonly meshscope: ValueOf<typeof ours> | undefined },
	at: Place,
	present: ReadonlySet<string>,
): void {
	const block = within(at, "meshscope");
	if (fields.meshscope?.loadBalancer !== undefined && present.has("loadBalancer"))
		fault(within(block, "loadBalancer"), "stands beside loadBalancer: only one of them is allowed");
	if (fields.meshscope?.successRate !== undefined && !present.has("outlierDetection"))
		fault(within(block, "successRate"), "needs outlierDetection beside it, which says for how long a host is ejected");
	if (fields.meshscope?.retryBudget !== undefined && present.has("retryBudget"))
		fault(within(block, "retryBudget"), "stands beside retryBudget: only one of them is allowed");
}

const portPolicy = object({ port: required(portSelector), ...policyShape }, (fields, at, present) =>
	checkPolicy(fields, at, present),
);

const trafficPolicy = object(
	{
		...policyShape,
		portLevelSettings: list(portPolicy, { unique: ({ port }) => [`port ${port}`] }),
		tunnel: unsupported(),
		proxyProtocol: unsupported(),
	},
	(fields, at, present) => checkPolicy(fields, at, present),
);

export type PortPolicy = ValueOf<typeof portPolicy>;
export type TrafficPolicy = ValueOf<typeof trafficPolicy>;

export const readDestinationRule = object({
	host: required(hostPattern),
	trafficPolicy,
	subsets: list(object({ name: required(dnsLabel), labels, trafficPolicy }), { unique: ({ name }) => [`subset ${name}`] }),
	exportTo,
	workloadSelector: selector,
});

export type DestinationRule = ValueOf<typeof readDestinationRule>;

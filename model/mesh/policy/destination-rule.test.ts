import { test } from "node:test";
import { assertMarked } from "../../../test/mesh/marked-faults.ts";

const HEAD = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:`;

/** A whole DestinationRule with the fields of one traffic policy. */
function policy(fields: string): string {
	return `${HEAD}\n  host: reviews\n  trafficPolicy:\n${fields}`;
}

test("a rule that uses every supported field is accepted", () => {
	assertMarked(`${HEAD}
  host: "*.default.svc.cluster.local"
  exportTo: ["*"]
  workloadSelector: {matchLabels: {app: productpage}}
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    connectionPool:
      tcp: {maxConnections: 100, connectTimeout: 30ms, idleTimeout: 1h}
      http: {http1MaxPendingRequests: 1, http2MaxRequests: 1000, maxRequestsPerConnection: 10, maxRetries: 0, idleTimeout: 0s, h2UpgradePolicy: UPGRADE}
    outlierDetection:
      consecutive5xxErrors: 7
      consecutiveGatewayErrors: 5
      consecutiveLocalOriginFailures: 3
      splitExternalLocalOriginErrors: true
      interval: 5m
      baseEjectionTime: 15m
      maxEjectionPercent: 100
      minHealthPercent: 0
    tls: {mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem, subjectAltNames: [reviews], sni: reviews, insecureSkipVerify: false}
    retryBudget: {percent: 20, minRetryConcurrency: 3}
    meshscope:
      breaker:
        slidingWindowSize: 10
        minimumNumberOfCalls: 5
        failureRateThreshold: 50
        slowCallDurationThreshold: 2s
        slowCallRateThreshold: 90
        waitDurationInOpenState: 5s
        permittedNumberOfCallsInHalfOpenState: 3
        maxWaitDurationInHalfOpenState: 0s
      successRate: {minimumHosts: 3, requestVolume: 50, stdevFactor: 1.9}
    portLevelSettings:
      - port: {number: 80}
        loadBalancer: {consistentHash: {httpCookie: {name: user, path: /, ttl: 0s}, ringHash: {minimumRingSize: 2048}}}
      - port: {number: 443}
        tls: {mode: ISTIO_MUTUAL}
        meshscope: {loadBalancer: PEAK_EWMA, retryBudget: {percent: 10, minConcurrent: 1}}
  subsets:
    - {name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
    - {name: any}
`);
});

test("host is required, subsets have names of their own, ports settings of their own", () => {
	assertMarked(`${HEAD} #! : needs host
  subsets:
    - {name: v1}
    - {name: V2} #! subsets[1].name: must be lower-case letters, digits and dashes, at most 63 characters, not "V2"
    - {labels: {version: v3}} #! subsets[2]: needs name
    - {name: v1} #! subsets[3]: subset v1 is there already
    - {name: v4, labels: {version: 4}} #! subsets[4].labels.version: must be text, not 4; put it in quotes
`);
	assertMarked(
		policy(`    portLevelSettings:
      - {port: {number: 80}}
      - {port: {number: 80}} #! trafficPolicy.portLevelSettings[1]: port 80 is there already
      - {loadBalancer: {simple: RANDOM}} #! trafficPolicy.portLevelSettings[2]: needs port
      - {port: {number: 81}, portLevelSettings: []} #! trafficPolicy.portLevelSettings[3].portLevelSettings: unknown field "portLevelSettings"; known here: port, loadBalancer, connectionPool, outlierDetection, tls, retryBudget or meshscope
`),
	);
});

test("ejection by success rate stands beside the rest of ejection", () => {
	assertMarked(
		policy(
			"    meshscope: {successRate: {}} #! trafficPolicy.meshscope.successRate: needs outlierDetection beside it, which says for how long a host is ejected\n",
		),
	);
	assertMarked(policy("    outlierDetection: {}\n    meshscope: {successRate: {}}\n"));
});

test("a load balancer is simple or hashes, by one key", () => {
	const at = "trafficPolicy.loadBalancer";
	assertMarked(policy(`    loadBalancer: {} #! ${at}: needs simple or consistentHash\n`));
	assertMarked(
		policy(
			`    loadBalancer: {simple: ROUND_ROBBIN} #! ${at}.simple: must be one of UNSPECIFIED, ROUND_ROBIN, LEAST_REQUEST, LEAST_CONN, RANDOM, not "ROUND_ROBBIN"; did you mean ROUND_ROBIN?\n`,
		),
	);
	assertMarked(
		policy(
			`    loadBalancer: {simple: PASSTHROUGH} #! ${at}.simple: PASSTHROUGH is not supported here: leave loadBalancer out, or use ROUND_ROBIN, LEAST_REQUEST or RANDOM\n`,
		),
	);
	assertMarked(
		policy(`    loadBalancer: {simple: LEAST_CONN} #? ${at}.simple: LEAST_CONN is Istio's old name of LEAST_REQUEST\n`),
	);
	assertMarked(
		policy(
			`    loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}} #! ${at}: has simple and consistentHash: only one of them is allowed\n`,
		),
	);
	assertMarked(
		policy(
			`    loadBalancer: {consistentHash: {}} #! ${at}.consistentHash: needs httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName\n`,
		),
	);
	assertMarked(
		policy(
			`    loadBalancer: {consistentHash: {useSourceIp: false}} #! ${at}.consistentHash.useSourceIp: must be true, or be left out for another key\n`,
		),
	);
	assertMarked(
		policy(
			`    loadBalancer: {consistentHash: {httpHeaderName: x, useSourceIp: true}} #! ${at}.consistentHash: has httpHeaderName and useSourceIp: only one of them is allowed\n`,
		),
	);
	assertMarked(
		policy(`    loadBalancer: {consistentHash: {httpCookie: {name: a}}} #! ${at}.consistentHash.httpCookie: needs ttl\n`),
	);
	assertMarked(
		policy(
			`    loadBalancer: {consistentHash: {httpCookie: {ttl: 1s, name: "a\\u010ab", path: "/;\\n"}}} #! ${at}.consistentHash.httpCookie.name: must be a cookie's name: letters, digits and !#$%&'*+-.^_\`|~, not "aĊb" #! ${at}.consistentHash.httpCookie.path: must be a cookie's path: ASCII without control characters and ;
`,
		),
	);
	assertMarked(
		policy(
			`    loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {}}} #! ${at}.consistentHash.maglev: is Istio's, but is not supported here: use ringHash\n`,
		),
	);
	assertMarked(
		policy(
			`    loadBalancer: {simple: RANDOM, warmup: {}} #! ${at}.warmup: is Istio's, but is not supported here: leave it out\n`,
		),
	);
});

test("limits are counts, and 0 is none of them but for retries and requests a connection", () => {
	const at = "trafficPolicy.connectionPool";
	assertMarked(
		policy(
			`    connectionPool: {tcp: {maxConnections: 0}} #! ${at}.tcp.maxConnections: must be a whole number from 1 to 2147483647, not 0\n`,
		),
	);
	assertMarked(
		policy(
			`    connectionPool: {http: {http1MaxPendingRequests: 0}} #! ${at}.http.http1MaxPendingRequests: must be a whole number from 1 to 2147483647, not 0\n`,
		),
	);
	assertMarked(
		policy(
			`    connectionPool: {http: {maxRequests: 1}} #! ${at}.http.maxRequests: unknown field "maxRequests"; did you mean http2MaxRequests?\n`,
		),
	);
	assertMarked(policy(`    connectionPool: {http: {maxRetries: 0, maxRequestsPerConnection: 0}}\n`));
	assertMarked(
		policy(
			`    connectionPool: {tcp: {connectTimeout: 0s}} #! ${at}.tcp.connectTimeout: must be a duration of 1ms or more, not "0s"\n`,
		),
	);
	assertMarked(
		policy(
			`    connectionPool: {tcp: {tcpKeepalive: {time: 1h}}} #! ${at}.tcp.tcpKeepalive: is Istio's, but is not supported here: leave it out\n`,
		),
	);
	assertMarked(
		policy(
			`    connectionPool: {http: {maxConcurrentStreams: 5}} #! ${at}.http.maxConcurrentStreams: is Istio's, but is not supported here: leave it out\n`,
		),
	);
});

test("ejection has shares of 0 to 100 and intervals", () => {
	const at = "trafficPolicy.outlierDetection";
	assertMarked(policy(`    outlierDetection: {}\n`));
	assertMarked(
		policy(
			`    outlierDetection: {interval: fast} #! ${at}.interval: must be a duration such as 1h, 1m, 1s or 1ms, not "fast"\n`,
		),
	);
	assertMarked(
		policy(
			`    outlierDetection: {maxEjectionPercent: 101} #! ${at}.maxEjectionPercent: must be a whole number from 0 to 100, not 101\n`,
		),
	);
	assertMarked(
		policy(
			`    outlierDetection: {minHealthPercent: 101} #! ${at}.minHealthPercent: must be a whole number from 0 to 100, not 101\n`,
		),
	);
	assertMarked(
		policy(
			`    outlierDetection: {consecutiveErrors: 5} #! ${at}.consecutiveErrors: is Istio's, but is not supported here: use consecutive5xxErrors or consecutiveGatewayErrors\n`,
		),
	);
});

test("each mode of TLS has its fields", () => {
	const at = "trafficPolicy.tls";
	assertMarked(policy(`    tls: {} #! ${at}: needs mode\n`));
	assertMarked(
		policy(`    tls: {mode: STRICT} #! ${at}.mode: must be one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL, not "STRICT"\n`),
	);
	assertMarked(
		policy(
			`    tls: {mode: MUTUAL, clientCertificate: /c.pem} #! ${at}: needs privateKey: mode MUTUAL shows a certificate of its own\n`,
		),
	);
	assertMarked(
		policy(
			`    tls: {mode: MUTUAL, privateKey: /k.pem} #! ${at}: needs clientCertificate: mode MUTUAL shows a certificate of its own\n`,
		),
	);
	assertMarked(
		policy(
			`    tls: {mode: SIMPLE, privateKey: /k.pem} #! ${at}.privateKey: has no meaning with mode SIMPLE: leave it out\n`,
		),
	);
	assertMarked(
		policy(
			`    tls: {mode: ISTIO_MUTUAL, caCertificates: /ca.pem} #! ${at}.caCertificates: has no meaning with mode ISTIO_MUTUAL: leave it out\n`,
		),
	);
	assertMarked(policy(`    tls: {mode: DISABLE, sni: a} #! ${at}.sni: has no meaning with mode DISABLE: leave it out\n`));
	assertMarked(
		policy(
			`    tls: {mode: SIMPLE, credentialName: a} #! ${at}.credentialName: is Istio's, but is not supported here: name the files: clientCertificate, privateKey, caCertificates\n`,
		),
	);
});

test("our block: a breaker within its window, one balancer, one budget", () => {
	const at = "trafficPolicy.meshscope";
	assertMarked(
		policy(
			`    meshscope: {breaker: {slidingWindowSize: 10, minimumNumberOfCalls: 11}} #! ${at}.breaker.minimumNumberOfCalls: must be at most slidingWindowSize (10): the breaker would never open\n`,
		),
	);
	assertMarked(
		policy(
			`    meshscope: {breaker: {minimumNumberOfCalls: 101}} #! ${at}.breaker.minimumNumberOfCalls: must be at most slidingWindowSize (100): the breaker would never open\n`,
		),
	);
	assertMarked(
		policy(
			`    meshscope: {breaker: {failureRateThreshold: 0}} #! ${at}.breaker.failureRateThreshold: must be a number from 1 to 100, not 0\n`,
		),
	);
	assertMarked(
		policy(
			`    meshscope: {breaker: {slowCallRateThreshold: 101}} #! ${at}.breaker.slowCallRateThreshold: must be a number from 1 to 100, not 101\n`,
		),
	);
	assertMarked(policy(`    meshscope: {loadBalancer: EWMA} #! ${at}.loadBalancer: must be PEAK_EWMA, not "EWMA"\n`));
	assertMarked(
		policy(
			`    loadBalancer: {simple: RANDOM}\n    meshscope: {loadBalancer: PEAK_EWMA} #! ${at}.loadBalancer: stands beside loadBalancer: only one of them is allowed\n`,
		),
	);
	assertMarked(
		policy(
			`    retryBudget: {percent: 1}\n    meshscope: {retryBudget: {percent: 2}} #! ${at}.retryBudget: stands beside retryBudget: only one of them is allowed\n`,
		),
	);
	assertMarked(
		policy(
			`    meshscope: {retryBudget: {percent: 200}} #! ${at}.retryBudget.percent: must be a number from 0 to 100, not 200\n`,
		),
	);
});

test("a rule for a host of another namespace is told whom it is for", () => {
	assertMarked(`${HEAD}
  host: reviews.shop #? host: reviews.shop.svc.cluster.local belongs to the namespace shop: from default this rule is only for callers in default
`);
	assertMarked(`${HEAD.replace("{name: reviews}", "{name: reviews, namespace: istio-system}")}\n  host: reviews.shop\n`);
});

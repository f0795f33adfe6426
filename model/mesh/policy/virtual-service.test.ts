import { test } from "node:test";
import { assertMarked } from "../../../test/mesh/marked-faults.ts";

const HEAD = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:`;

/** A whole VirtualService whose `http` is one route. */
function route(fields: string): string {
	return `${HEAD}\n  hosts: [reviews]\n  http:\n${fields}`;
}

const TO_REVIEWS = "    - route: [{destination: {host: reviews}}]\n";

test("hosts are required, and http or tcp beside them", () => {
	assertMarked(`${HEAD} #! : needs hosts\n`);
	assertMarked(`${HEAD} #! : needs http or tcp\n  hosts: [reviews]\n`);
	assertMarked(`${HEAD}
  hosts: [] #! hosts: must have at least one item, or be left out
  http:
${TO_REVIEWS}`);
});

test("a host is a name, an address or a suffix, and none covers another", () => {
	assertMarked(`${HEAD}
  hosts:
    - reviews
    - Reviews.Shop.svc.cluster.local.
    - 10.0.0.1
    - 2001:db8::1
    - "*.example.com"
    - a.example.com #! hosts[5]: a.example.com and *.example.com overlap: each host must stand here once
    - "*.com" #! hosts[6]: *.com and *.example.com overlap: each host must stand here once
    - reviews #! hosts[7]: reviews and reviews overlap: each host must stand here once
    - "*" #! hosts[8]: must not be * alone, which would take every host of the mesh: name a host, or *.suffix
    - a b #! hosts[9]: must be a host such as reviews, reviews.shop.svc.cluster.local or www.example.com, or *.suffix, not "a b"
    - a.*.c #! hosts[10]: must be a host such as reviews, reviews.shop.svc.cluster.local or www.example.com, or *.suffix, not "a.*.c"
    - 7 #! hosts[11]: must be text, not 7; put it in quotes
  http:
${TO_REVIEWS}`);
});

test("only the gateway mesh is known, and TLS routes are not", () => {
	assertMarked(`${HEAD}
  hosts: [reviews]
  gateways:
    - mesh
    - ingress #! gateways[1]: must be mesh, not "ingress"
  tls: [] #! tls: is Istio's, but is not supported here: TLS that an application speaks itself is taken through by tcp routes
  exportTo: [".", "*", shop, Not_a_name] #! exportTo[3]: must be ".", "*" or a namespace, not "Not_a_name"
  http:
${TO_REVIEWS}`);
});

test("a route goes to destinations, redirects or answers: one of them", () => {
	assertMarked(
		route(`    - name: nothing #! http[0]: needs route, redirect or directResponse
    - route: [{destination: {host: reviews}}] #! http[1]: has route and redirect: only one of them is allowed
      redirect: {uri: /a}
    - redirect: {uri: /a}
      fault: {abort: {httpStatus: 500, percentage: {value: 1}}} #! http[2].fault: has no meaning beside redirect, which sends nothing upstream
      rewrite: {uri: /b} #! http[2].rewrite: has no meaning beside redirect, which sends nothing upstream
    - directResponse: {status: 200}
      timeout: 1s #! http[3].timeout: has no meaning beside directResponse, which sends nothing upstream
    - route: [] #! http[4].route: must have at least one item, or be left out
    - route: reviews #! http[5].route: must be a list, not "reviews"
`),
	);
});

test("several destinations share 100, and each share is from 0 to 100", () => {
	assertMarked(
		route(`    - route: #! http[0].route: weights must sum to 100, not 90
        - {destination: {host: reviews}, weight: 60}
        - {destination: {host: ratings}, weight: 30}
    - route: #! http[1].route: weights must sum to 100, not 0
        - {destination: {host: reviews}}
        - {destination: {host: ratings}}
    - route: [{destination: {host: reviews}, weight: 7}]
    - route:
        - {destination: {host: reviews}, weight: 100}
        - {destination: {host: ratings}, weight: 0}
    - route:
        - {destination: {host: reviews}, weight: 101} #! http[4].route[0].weight: must be a whole number from 0 to 100, not 101
        - {destination: {host: reviews}, weight: 2.5} #! http[4].route[1].weight: must be a whole number from 0 to 100, not 2.5
        - {destination: {host: reviews}, weight: "5"} #! http[4].route[2].weight: must be a whole number from 0 to 100, not "5"
`),
	);
});

test("a destination has a host, and its port is a number in an object", () => {
	assertMarked(
		route(`    - route: [{destination: {subset: v1}}] #! http[0].route[0].destination: needs host
    - route: [{weight: 1}] #! http[1].route[0]: needs destination
    - route: [{destination: {host: "*.shop"}}] #! http[2].route[0].destination.host: must be a host such as reviews, reviews.shop.svc.cluster.local or www.example.com, not "*.shop"
    - route: [{destination: {host: a, port: 80}}] #! http[3].route[0].destination.port: must be an object with number, not 80
    - route: [{destination: {host: a, port: {number: 70000}}}] #! http[4].route[0].destination.port.number: must be a whole number from 1 to 65535, not 70000
    - route: [{destination: {host: a, port: {}}}] #! http[5].route[0].destination.port: needs number
`),
	);
});

test("a subset that no DestinationRule gives is a fault, wherever a destination stands", () => {
	assertMarked(`${HEAD}
  hosts: [reviews]
  http:
    - route:
        - destination:
            host: reviews
            subset: v3 #! http[0].route[0].destination.subset: no DestinationRule gives reviews.shop.svc.cluster.local the subset v3: its subsets are v1, v2
      mirrors:
        - destination:
            host: ratings
            subset: v1 #! http[0].mirrors[0].destination.subset: no DestinationRule gives ratings.shop.svc.cluster.local the subset v1: there is no DestinationRule for ratings.shop.svc.cluster.local
      meshscope:
        fallback:
          destination:
            host: reviews.shop
            subset: v4 #! http[0].meshscope.fallback.destination.subset: no DestinationRule gives reviews.shop.svc.cluster.local the subset v4: its subsets are v1, v2
    - route: [{destination: {host: reviews, subset: v1}}]
      mirror: {host: reviews, subset: v5} #! http[1].mirror.subset: no DestinationRule gives reviews.shop.svc.cluster.local the subset v5: its subsets are v1, v2
    - route: [{destination: {host: reviews.shop.svc, subset: v2}}]
  tcp:
    - route: [{destination: {host: reviews, subset: v6}}] #! tcp[0].route[0].destination.subset: no DestinationRule gives reviews.shop.svc.cluster.local the subset v6: its subsets are v1, v2
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews.shop.svc.cluster.local
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`);
});

test("a faulty DestinationRule does not make faults of the routes to its subsets", () => {
	assertMarked(`${HEAD}
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: 1}] #! subsets[0].trafficPolicy: must be an object with loadBalancer, connectionPool, outlierDetection, tls, retryBudget, meshscope or portLevelSettings, not 1
`);
});

test("a match says one thing of each part of a request", () => {
	assertMarked(
		route(`    - match:
        - uri: {exact: /a, prefix: /b} #! http[0].match[0].uri: has exact and prefix: only one of them is allowed
        - uri: {} #! http[0].match[1].uri: needs exact, prefix or regex
        - uri: {prefix: a} #! http[0].match[2].uri: prefix must begin with a slash
        - uri: {prefix: ""} #! http[0].match[3].uri.prefix: must not be empty
        - uri: {regex: "("} #! http[0].match[4].uri.regex: the pattern has an opening parenthesis without a closing one
        - uri: {regex: "/(?=a)"} #! http[0].match[5].uri.regex: the pattern has lookaround, which RE2 does not have
        - uri: /a #! http[0].match[6].uri: must be an object with exact, prefix or regex, not "/a"
        - method: {exact: GET}
          scheme: {exact: http}
          authority: {prefix: reviews}
          headers: {X-User: {exact: jason}, cookie: {}, x-empty: {exact: ""}}
          withoutHeaders: {x-debug: {}}
          queryParams: {q: {exact: "1"}}
          port: 9080
          sourceLabels: {app: productpage}
          sourceNamespace: shop
          name: all
        - headers: {":path": {exact: /a}} #! http[0].match[8].headers[":path"]: is not matched as a header: use uri
        - headers: {"x y": {}} #! http[0].match[9].headers["x y"]: must be a header's name, not "x y"
        - headers: {x: {exact: 1}} #! http[0].match[10].headers.x.exact: must be text, not 1; put it in quotes
        - ignoreUriCase: true #! http[0].match[11].ignoreUriCase: needs uri beside it
        - uri: {regex: /a}
          ignoreUriCase: true #! http[0].match[12].ignoreUriCase: does not apply to a regex: begin the regex with (?i)
        - uri: {exact: ""} #! http[0].match[13].uri: exact must not be empty
        - gateways: [ingress] #! http[0].match[14].gateways[0]: must be mesh, not "ingress"
        - headers: {x: {equal: a}} #! http[0].match[15].headers.x.equal: unknown field "equal"; known here: exact, prefix or regex
        - sourceLabels: {app: "rev*"} #! http[0].match[16].sourceLabels.app: must be a label's whole value: wildcards are not supported in labels
        - port: 0 #! http[0].match[17].port: must be a whole number from 1 to 65535, not 0
        - statPrefix: a #! http[0].match[18].statPrefix: is Istio's, but is not supported here: leave it out
      route: [{destination: {host: reviews}}]
`),
	);
});

test("header changes keep off the framing of messages and off control characters", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      headers:
        request:
          set: {x-a: b, Host: c} #! http[0].headers.request.set.Host: "Host" cannot be changed as a header: use rewrite.authority or rewrite.uri
          add: {Content-Length: "0"} #! http[0].headers.request.add.Content-Length: "Content-Length" frames the message and cannot be changed
          remove: [transfer-encoding, x-b] #! http[0].headers.request.remove[0]: "transfer-encoding" frames the message and cannot be changed
        response:
          remove: [x-a, "a b"] #! http[0].headers.response.remove[1]: must be a header's name, not "a b"
          set: {x-a: "a\\r\\nb: c"} #! http[0].headers.response.set.x-a: must be a header's value: no line breaks or other control characters
          add: {x-b: "%PROTOCOL%"} #! http[0].headers.response.add.x-b: has a % sign: Envoy's %VARIABLES% are not supported here; write %% for a % sign
    - route: [{destination: {host: reviews}, headers: {request: {set: {x-share: "50%%"}}}}]
      headers: {request: {set: {x-a: b, X-A: c}}} #! http[1].headers.request.set.X-A: x-a is there already, in other letters
`),
	);
});

test("what reaches a head can be written as latin-1 without becoming a line break", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      headers: {request: {set: {x-a: "a\\u010ab"}}} #! http[0].headers.request.set.x-a: must be a header's value: no line breaks or other control characters
    - route: [{destination: {host: reviews}}]
      headers: {response: {add: {x-a: "a\\nb"}}} #! http[1].headers.response.add.x-a: must be a header's value: no line breaks or other control characters
    - route: [{destination: {host: reviews}}]
      rewrite: {uri: "/a\\u010ab"} #! http[2].rewrite.uri: must be a path in visible ASCII, without query and fragment, not "/aĊb"
    - route: [{destination: {host: reviews}}]
      rewrite: {uriRegexRewrite: {match: b, rewrite: "\\u010a"}} #! http[3].rewrite.uriRegexRewrite.rewrite: must be visible ASCII, without query and fragment
    - route: [{destination: {host: reviews}}]
      rewrite: {uriRegexRewrite: {match: b, rewrite: " HTTP/1.1"}} #! http[4].rewrite.uriRegexRewrite.rewrite: must be visible ASCII, without query and fragment
    - redirect: {uri: "/a\\u010ab"} #! http[5].redirect.uri: must be a path in visible ASCII without %VARIABLES%, not "/aĊb"
    - redirect: {uri: "/a\\u0000"} #! http[6].redirect.uri: must be a path in visible ASCII without %VARIABLES%, not "/a\\u0000"
    - directResponse: {status: 200}
      headers: {response: {set: {"xĊa": b}}} #! http[7].headers.response.set["xĊa"]: must be a header's name, not "xĊa"
`),
	);
});

test("retries need attempts, and retryOn knows its words", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx, gateway-error,503,retriable-status-codes", backoff: 50ms}
    - route: [{destination: {host: reviews}}]
      retries: {perTryTimeout: 2s} #! http[1].retries.perTryTimeout: has no meaning without attempts: 0 attempts, Istio's default here, is no retry
    - route: [{destination: {host: reviews}}]
      retries: {attempts: 1, retryOn: "5xx,conect-failure"} #! http[2].retries.retryOn: must list status codes and connect-failure, refused-stream, unavailable, cancelled, resource-exhausted, deadline-exceeded, internal, reset, 5xx, gateway-error, retriable-4xx, not "conect-failure"; did you mean connect-failure?
    - route: [{destination: {host: reviews}}]
      retries: {attempts: -1, retryOn: 5xx} #! http[3].retries.attempts: must be a whole number from 0 to 100, not -1
    - route: [{destination: {host: reviews}}]
      retries: {attempts: 0}
    - route: [{destination: {host: reviews}}]
      retries: {attempts: 2, retryRemoteLocalities: true} #! http[5].retries.retryRemoteLocalities: is Istio's, but is not supported here: endpoints have no locality
`),
	);
});

test("durations are Go's, whole milliseconds, and 0 only where it means off", () => {
	const form = "must be a duration such as 1h, 1m, 1s or 1ms, not";
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      timeout: 0s
    - route: [{destination: {host: reviews}}]
      timeout: 1h30m1.5s100ms
    - route: [{destination: {host: reviews}}]
      timeout: 10 #! http[2].timeout: ${form} 10
    - route: [{destination: {host: reviews}}]
      timeout: 2 seconds #! http[3].timeout: ${form} "2 seconds"
    - route: [{destination: {host: reviews}}]
      timeout: 1.5ms #! http[4].timeout: must be a duration of whole milliseconds, not "1.5ms"
    - route: [{destination: {host: reviews}}]
      timeout: 600h #! http[5].timeout: must be a duration of at most 576h, not "600h"
    - route: [{destination: {host: reviews}}]
      timeout: -1s #! http[6].timeout: ${form} "-1s"
    - route: [{destination: {host: reviews}}]
      retries: {attempts: 1, perTryTimeout: 0s} #! http[7].retries.perTryTimeout: must be a duration of 1ms or more, not "0s"
`),
	);
});

test("a fault delays or aborts, for a share that should be named", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      fault:
        delay: {fixedDelay: 7s, percentage: {value: 0.1}}
        abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}
    - route: [{destination: {host: reviews}}]
      fault: {} #! http[1].fault: needs delay or abort
    - route: [{destination: {host: reviews}}]
      fault:
        delay: {percentage: {value: 101}} #! http[2].fault.delay.percentage.value: must be a number from 0 to 100, not 101 #! http[2].fault.delay: needs fixedDelay
        abort: {httpStatus: 500, grpcStatus: "14", percentage: {value: 1}} #! http[2].fault.abort: has httpStatus and grpcStatus: only one of them is allowed
    - route: [{destination: {host: reviews}}]
      fault:
        delay: {fixedDelay: 1s, percent: 10} #! http[3].fault.delay.percent: is Istio's, but is not supported here: use percentage: {value: …} #? http[3].fault.delay: has no percentage: as in Istio no request is delayed; write percentage: {value: 100} for all
        abort: {httpStatus: 99, percentage: {value: 1}} #! http[3].fault.abort.httpStatus: must be a whole number from 200 to 599, not 99
    - route: [{destination: {host: reviews}}]
      fault:
        abort: {grpcStatus: NOPE, percentage: 5} #! http[4].fault.abort.grpcStatus: must be the name or number of a gRPC status, such as UNAVAILABLE, not "NOPE" #! http[4].fault.abort.percentage: must be an object with value, not 5
    - route: [{destination: {host: reviews}}]
      fault:
        abort: {percentage: {value: 5}} #! http[5].fault.abort: needs httpStatus or grpcStatus
`),
	);
});

test("a mirror's share belongs to a mirror", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      mirror: {host: shadow}
      mirrorPercentage: {value: 25}
    - route: [{destination: {host: reviews}}]
      mirrorPercentage: {value: 25} #! http[1].mirrorPercentage: needs mirror beside it
    - route: [{destination: {host: reviews}}] #! http[2]: has mirror and mirrors: only one of them is allowed
      mirror: {host: shadow}
      mirrors: [{destination: {host: shadow}}]
    - route: [{destination: {host: reviews}}]
      mirror: {host: shadow}
      mirrorPercent: 5 #! http[3].mirrorPercent: is Istio's, but is not supported here: use mirrorPercentage: {value: …}
`),
	);
});

test("a rewrite changes path or authority, by groups that are there", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      rewrite: {uri: /v1, authority: "reviews:8080"}
    - route: [{destination: {host: reviews}}]
      rewrite: {uriRegexRewrite: {match: "^/service/([^/]+)(/.*)$", rewrite: "\\\\2/\\\\1"}}
    - route: [{destination: {host: reviews}}]
      rewrite: {} #! http[2].rewrite: needs uri, authority or uriRegexRewrite
    - route: [{destination: {host: reviews}}]
      rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}} #! http[3].rewrite: has uri and uriRegexRewrite: only one of them is allowed
    - route: [{destination: {host: reviews}}]
      rewrite: {uriRegexRewrite: {match: "(a)b", rewrite: "\\\\2"}} #! http[4].rewrite.uriRegexRewrite.rewrite: may refer to \\0 to \\1 (the groups of match); write \\\\ for a backslash
    - route: [{destination: {host: reviews}}]
      rewrite: {uri: /a?b} #! http[5].rewrite.uri: must be a path in visible ASCII, without query and fragment, not "/a?b"
    - route: [{destination: {host: reviews}}]
      rewrite: {uriRegexRewrite: {match: "(a+)+", rewrite: ""}} #! http[6].rewrite.uriRegexRewrite.match: the pattern can take exponential time: a repeated part can match the same text in two ways; let what is repeated begin or end with something that the rest of it cannot be
`),
	);
});

test("a redirect says where to, and its port belongs to an authority", () => {
	assertMarked(
		route(`    - redirect: {uri: /new, authority: www.example.com, port: 8443, scheme: https, redirectCode: 308}
    - redirect: {} #! http[1].redirect: needs uri, authority or scheme
    - redirect: {port: 80, uri: /a} #! http[2].redirect.port: needs authority beside it
    - redirect: {uri: /a, redirectCode: 300} #! http[3].redirect.redirectCode: must be one of 301, 302, 303, 307, 308, not 300
    - redirect: {uri: "%PREFIX()%/a"} #! http[4].redirect.uri: must be a path in visible ASCII without %VARIABLES%, not "%PREFIX()%/a"
    - redirect: {uri: /a, scheme: ftp} #! http[5].redirect.scheme: must be one of http, https, not "ftp"
    - redirect: {authority: "a:b"} #! http[6].redirect.authority: must be a host, or host:port, not "a:b"
    - directResponse: {status: 503, body: {string: later}}
    - directResponse: {body: {string: later}} #! http[8].directResponse: needs status
`),
	);
});

test("a fallback is an answer or a destination", () => {
	assertMarked(
		route(`    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {status: 200, body: "[]", contentType: application/json}}
    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {destination: {host: cache}}}
    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {body: "[]"}} #! http[2].meshscope.fallback: needs status or destination
    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {destination: {host: cache}, body: a}} #! http[3].meshscope.fallback.body: belongs to an answer with a status, not to a destination
    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {status: 200, contentType: json}} #! http[4].meshscope.fallback.contentType: must be a media type such as application/json, not "json"
    - route: [{destination: {host: reviews}}]
      meshscope: {falback: {}} #! http[5].meshscope.falback: unknown field "falback"; did you mean fallback?
`),
	);
});

test("TCP is matched by port and source only", () => {
	assertMarked(`${HEAD}
  hosts: [reviews]
  tcp:
    - match: [{port: 9000, sourceLabels: {app: a}, sourceNamespace: shop}]
      route: [{destination: {host: reviews}}]
    - match: [{destinationSubnets: [10.0.0.0/8]}] #! tcp[1].match[0].destinationSubnets: is Istio's, but is not supported here: TCP is told apart by its service and port
      route: [{destination: {host: reviews}}]
    - match: [{port: 1}] #! tcp[2]: needs route
    - route: #! tcp[3].route: weights must sum to 100, not 99
        - {destination: {host: reviews}, weight: 98}
        - {destination: {host: reviews}, weight: 1}
`);
});

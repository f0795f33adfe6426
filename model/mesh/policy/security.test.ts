import { test } from "node:test";
import { assertMarked } from "../../../test/mesh/marked-faults.ts";

const PEER = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec:`;
const AUTHORIZATION = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews, namespace: shop}
spec:`;

test("a PeerAuthentication may be empty, and names its modes", () => {
	assertMarked(`${PEER} {}\n`);
	assertMarked(`${PEER}\n`);
	assertMarked(`${PEER}
  selector: {matchLabels: {app: reviews}}
  mtls: {mode: UNSET}
  portLevelMtls: {8080: {mode: DISABLE}, "8081": {}}
`);
	assertMarked(`${PEER}
  mtls: {mode: strict} #! mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not "strict"; did you mean STRICT?
`);
});

test("ports of a PeerAuthentication belong to a selected workload", () => {
	assertMarked(`${PEER}
  portLevelMtls: {8080: {mode: STRICT}} #! portLevelMtls: needs selector.matchLabels beside it: ports belong to a workload
`);
	assertMarked(`${PEER}
  selector: {matchLabels: {app: reviews}}
  portLevelMtls: {} #! portLevelMtls: must have at least one entry, or be left out
`);
	assertMarked(`${PEER}
  selector: {matchLabels: {app: reviews}}
  portLevelMtls:
    http: {mode: STRICT} #! portLevelMtls.http: must be a port from 1 to 65535
    65536: {mode: STRICT} #! portLevelMtls["65536"]: must be a port from 1 to 65535
    8080: STRICT #! portLevelMtls["8080"]: must be an object with mode, not "STRICT"
`);
});

test("an AuthorizationPolicy that uses every supported field is accepted", () => {
	assertMarked(`${AUTHORIZATION}
  selector: {matchLabels: {app: reviews}}
  action: DENY
  rules:
    - {}
    - from:
        - source: {principals: [cluster.local/ns/shop/sa/web, "*", "cluster.local/*"], notPrincipals: ["*/sa/web"], namespaces: [shop], notNamespaces: [dev]}
        - source: {ipBlocks: [10.0.0.0/8, "::1"], notIpBlocks: [10.1.2.3], remoteIpBlocks: [192.168.0.0/16], notRemoteIpBlocks: [192.168.1.1]}
      to:
        - operation: {hosts: ["*.shop"], notHosts: [a], ports: ["80"], notPorts: ["81"], methods: [GET, "*"], notMethods: [POST], paths: [/a, "/b*", "*/c", "/d/{*}/e/{**}"], notPaths: [/x]}
      when:
        - {key: "request.headers[X-User]", values: [jason, ""]}
        - {key: source.ip, notValues: [10.0.0.1]}
        - {key: remote.ip, values: [10.0.0.0/24]}
        - {key: source.namespace, values: [shop]}
        - {key: source.principal, values: ["*"]}
        - {key: destination.ip, values: ["::1/128"]}
        - {key: destination.port, values: ["80"]}
        - {key: connection.sni, values: ["*.shop"]}
`);
});

test("actions are ALLOW, DENY and AUDIT; a denial without rules is told to match nothing", () => {
	assertMarked(`${AUTHORIZATION} {}\n`);
	assertMarked(`${AUTHORIZATION} {action: DENY} #? : has the action DENY and no rules: it matches nothing\n`);
	assertMarked(`${AUTHORIZATION}
  action: CUSTOM #! action: CUSTOM is not supported here: use ALLOW, DENY or AUDIT
  provider: {name: opa} #! provider: is Istio's, but is not supported here: it belongs to the action CUSTOM
  targetRefs: [] #! targetRefs: is Istio's, but is not supported here: use selector
`);
});

test("nothing in a rule is empty, since empty would match all or nothing", () => {
	assertMarked(`${AUTHORIZATION}
  rules:
    - from: [] #! rules[0].from: must have at least one item, or be left out
    - from: [{source: {}}] #! rules[1].from[0].source: must have at least one field
    - from: [{}] #! rules[2].from[0]: needs source
    - to: [{operation: {}}] #! rules[3].to[0].operation: must have at least one field
    - to: [{operation: {paths: []}}] #! rules[4].to[0].operation.paths: must have at least one item, or be left out
    - when: [] #! rules[5].when: must have at least one item, or be left out
    - when: [{key: source.ip}] #! rules[6].when[0]: needs values or notValues
    - when: [{values: [a]}] #! rules[7].when[0]: needs key
    - to: [{operation: {paths: [""]}}] #! rules[8].to[0].operation.paths[0]: must not be empty
    - null #! rules[9]: must be an object with from, to or when, not nothing
`);
});

test("principals are SPIFFE IDs without their scheme", () => {
	const at = "rules[0].from[0].source.principals";
	const form = "must be <trust domain>/ns/<namespace>/sa/<service account>:";
	assertMarked(`${AUTHORIZATION}
  rules:
    - from:
        - source:
            principals:
              - spiffe://cluster.local/ns/shop/sa/web #! ${at}[0]: must be written without spiffe://
              - cluster.local/ns/shop/sa/web/ #! ${at}[1]: ${form} "cluster.local/ns/shop/sa/web/" must not end with a slash
              - cluster.local/ns/shop #! ${at}[2]: ${form} "cluster.local/ns/shop" must have the path /ns/<namespace>/sa/<service-account>
              - Cluster.local/ns/shop/sa/web #! ${at}[3]: ${form} "Cluster.local/ns/shop/sa/web" has a trust domain with other than lower-case letters, digits, dots, dashes and underscores
              - cluster.local/ns/shop/sa/w%20b #! ${at}[4]: ${form} "cluster.local/ns/shop/sa/w%20b" must not hold percent-encoding
              - "*/web"
`);
});

test("addresses, ports and path templates have their forms", () => {
	const operation = "rules[0].to[0].operation";
	assertMarked(`${AUTHORIZATION}
  rules:
    - from: [{source: {ipBlocks: [10.0.0.0/33]}}] #! rules[0].from[0].source.ipBlocks[0]: must be an IP address or a block such as 10.0.0.0/8, not "10.0.0.0/33"
      to:
        - operation:
            ports: ["0"] #! ${operation}.ports[0]: must be a port from 1 to 65535, not "0"
            notPorts: [80] #! ${operation}.notPorts[0]: must be text, not 80; put it in quotes
            methods: [get] #? ${operation}.methods[0]: "get" is compared as it is written, and methods are upper case
            hosts: ["a*b"] #? ${operation}.hosts[0]: "a*b" matches a star literally: * stands for anything only at the beginning or the end
            paths:
              - "/a/{*}*" #! ${operation}.paths[0]: with {*} or {**} no other braces and no other * are allowed
              - "/a/{b}" #! ${operation}.paths[1]: with {*} or {**} no other braces and no other * are allowed
              - "/a/x{*}" #! ${operation}.paths[2]: {*} and {**} must each be a whole segment
              - "/{**}/a/{*}" #! ${operation}.paths[3]: nothing variable may follow {**}
              - "/{**}/{**}" #! ${operation}.paths[4]: nothing variable may follow {**}
              - "a/{*}" #! ${operation}.paths[5]: with {*} or {**} must begin with a slash
              - "/{*}/a/{*}"
`);
});

test("conditions have keys that are known, and values of the key's form", () => {
	const keys =
		"request.headers[name], source.ip, remote.ip, source.namespace, source.principal, destination.ip, destination.port, connection.sni";
	assertMarked(`${AUTHORIZATION}
  rules:
    - when:
        - {key: source.port, values: ["1"]} #! rules[0].when[0].key: must be one of ${keys}, not "source.port"
        - {key: "request.auth.claims[iss]", values: [a]} #! rules[0].when[1].key: is Istio's, but is not supported here: use one of ${keys}, not "request.auth.claims[iss]"
        - {key: "request.headers[]", values: [a]} #! rules[0].when[2].key: must be one of ${keys}, not "request.headers[]"
        - {key: source.ip, values: [a]} #! rules[0].when[3].values[0]: must be an IP address or a block such as 10.0.0.0/8, not "a"
        - {key: destination.port, notValues: ["99999"]} #! rules[0].when[4].notValues[0]: must be a port from 1 to 65535, not "99999"
        - {key: source.principal, values: [web]} #! rules[0].when[5].values[0]: must be <trust domain>/ns/<namespace>/sa/<service account>: "web" must have the path /ns/<namespace>/sa/<service-account>
        - {key: constructor, values: [a]} #! rules[0].when[6].key: must be one of ${keys}, not "constructor"
      from:
        - source: {requestPrincipals: ["*"]} #! rules[0].from[0].source.requestPrincipals: is Istio's, but is not supported here: JSON Web Tokens are not verified
`);
});

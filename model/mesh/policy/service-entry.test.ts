import { test } from "node:test";
import { assertMarked } from "../../../test/mesh/marked-faults.ts";

const HEAD = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: external, namespace: shop}
spec:`;

test("entries of each resolution are accepted", () => {
	assertMarked(`${HEAD}
  hosts: [api.example.com, www.example.com]
  location: MESH_EXTERNAL
  ports: [{number: 443, name: https, protocol: TLS}, {number: 80, name: http, protocol: http, targetPort: 8080}]
  resolution: DNS
  exportTo: ["."]
---
${HEAD.replace("external", "static")}
  hosts: ["*.legacy.example.com"]
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  subjectAltNames: [spiffe://cluster.local/ns/shop/sa/legacy]
  endpoints:
    - {address: 10.0.0.1, ports: {http: 8080}, labels: {version: v1}, weight: 20, serviceAccount: legacy}
    - {address: "2001:db8::1"}
---
${HEAD.replace("external", "none")}
  hosts: [none.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
`);
});

test("hosts and ports are required and each their own", () => {
	assertMarked(`${HEAD} #! : needs hosts #! : needs ports
  resolution: DNS
`);
	assertMarked(`${HEAD}
  hosts: [a.example.com, a.example.com] #! hosts[1]: a.example.com is there already
  resolution: DNS
  ports:
    - {number: 80, name: http}
    - {number: 80, name: http2} #! ports[1]: port 80 is there already
    - {number: 81, name: http} #! ports[2]: the name http is there already
    - {number: 82} #! ports[3]: needs name
    - {number: 83, name: udp, protocol: UDP} #! ports[4].protocol: must be one of HTTP, HTTP2, GRPC, GRPC-WEB, TCP, HTTPS, TLS, MONGO, not "UDP"
`);
});

test("resolution and endpoints fit each other", () => {
	const ports = "  ports: [{number: 80, name: http}]\n";
	assertMarked(`${HEAD} #! : needs endpoints with resolution STATIC\n  hosts: [a.b.c]\n${ports}  resolution: STATIC\n`);
	assertMarked(
		`${HEAD}\n  hosts: [a.b.c]\n${ports}  resolution: NONE\n  endpoints: [{address: 10.0.0.1}] #! endpoints: has no meaning with resolution NONE: write STATIC or DNS\n`,
	);
	assertMarked(
		`${HEAD}\n  hosts: [a.b.c]\n${ports}  endpoints: [{address: 10.0.0.1}] #! endpoints: has no meaning with resolution NONE: write STATIC or DNS\n`,
	);
	assertMarked(`${HEAD}
  hosts: ["*.b.c"] #! hosts: *.b.c cannot be looked up: write the hosts one by one, or endpoints
${ports}  resolution: DNS
`);
	assertMarked(`${HEAD}
  hosts: [a.b.c]
${ports}  resolution: STATIC
  endpoints:
    - {address: bad address} #! endpoints[0].address: must be a host such as reviews, reviews.shop.svc.cluster.local or www.example.com, not "bad address"
    - {address: db.example.com} #! endpoints[1].address: must be an IP address with resolution STATIC, not "db.example.com"; names need resolution DNS
    - {address: 10.0.0.1, ports: {grpc: 1}} #! endpoints[2].ports.grpc: is no port of this entry; its ports are http
    - {address: 10.0.0.1, weight: 0} #! endpoints[3].weight: must be a whole number from 1 to 1000000, not 0
    - {address: 10.0.0.1, locality: a} #! endpoints[4].locality: is Istio's, but is not supported here: endpoints have no locality
`);
	assertMarked(
		`${HEAD}\n  hosts: [a.b.c]\n${ports}  resolution: DNS_ROUND_ROBIN #! resolution: DNS_ROUND_ROBIN is not supported here: use DNS\n`,
	);
});

test("what would choose endpoints elsewhere is not supported", () => {
	assertMarked(`${HEAD}
  hosts: [a.b.c]
  ports: [{number: 80, name: http}]
  resolution: DNS
  addresses: [10.0.0.1] #! addresses: is Istio's, but is not supported here: a service is called by its host
  workloadSelector: {labels: {app: a}} #! workloadSelector: is Istio's, but is not supported here: list the endpoints
  location: OUTSIDE #! location: must be one of MESH_EXTERNAL, MESH_INTERNAL, not "OUTSIDE"
`);
});

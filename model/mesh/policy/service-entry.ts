/** Istio's ServiceEntry: a service that no proxy registers, inside the mesh or outside. */
import {
	integer,
	list,
	mapOf,
	mapped,
	object,
	oneOf,
	placeOf,
	quoted,
	type Read,
	required,
	text,
	textThat,
	unsupported,
	type ValueOf,
} from "./fields.ts";
import { isIpAddress } from "./ip-address.ts";
import { fault, within } from "./place.ts";
import { dnsLabel, exactHost, exportTo, hostPattern, labels, portNumber, resourceName } from "./values.ts";

export type EntryProtocol = "http" | "http2" | "grpc" | "tcp";

const PROTOCOLS: Readonly<Record<string, EntryProtocol>> = {
	HTTP: "http",
	HTTP2: "http2",
	GRPC: "grpc",
	"GRPC-WEB": "http",
	TCP: "tcp",
	// The application speaks TLS itself: its bytes go through.
	HTTPS: "tcp",
	TLS: "tcp",
	MONGO: "tcp",
};

const protocol: Read<EntryProtocol> = mapped(text(), (value, at) => {
	const known = value.toUpperCase();
	return Object.hasOwn(PROTOCOLS, known)
		? PROTOCOLS[known]!
		: fault(at, `must be one of ${Object.keys(PROTOCOLS).join(", ")}, not ${quoted(value)}`);
});

const port = object({ number: required(portNumber), name: required(dnsLabel), protocol, targetPort: portNumber });

const endpoint = object({
	address: required(exactHost),
	ports: mapOf(dnsLabel, portNumber),
	labels,
	weight: integer(1, 1_000_000),
	serviceAccount: resourceName,
	network: unsupported(),
	locality: unsupported("endpoints have no locality"),
});

export const readServiceEntry = object(
	{
		hosts: required(list(hostPattern, { nonEmpty: true, unique: (host) => [host] })),
		ports: required(list(port, { nonEmpty: true, unique: ({ number, name }) => [`port ${number}`, `the name ${name}`] })),
		location: oneOf(["MESH_EXTERNAL", "MESH_INTERNAL"]),
		resolution: oneOf(["NONE", "STATIC", "DNS"], { DNS_ROUND_ROBIN: "use DNS" }),
		endpoints: list(endpoint, { nonEmpty: true }),
		exportTo,
		subjectAltNames: list(
			textThat((value) => (/[\s*]/.test(value) ? "must be a name without white space and wildcards" : undefined)),
		),
		addresses: unsupported("a service is called by its host"),
		workloadSelector: unsupported("list the endpoints"),
	},
	(fields, at, present) => {
		const names = fields.ports.map(({ name }) => name);
		for (const one of fields.endpoints ?? []) {
			const place = placeOf(one, at);
			for (const name of one.ports?.keys() ?? []) {
				if (!names.includes(name))
					fault(within(within(place, "ports"), name), `is no port of this entry; its ports are ${names.join(", ")}`);
			}
			if (fields.resolution === "STATIC" && !isIpAddress(one.address)) {
				fault(
					within(place, "address"),
					`must be an IP address with resolution STATIC, not ${quoted(one.address)}; names need resolution DNS`,
				);
			}
		}
		const resolution = fields.resolution ?? "NONE";
		if (present.has("resolution") && fields.resolution === undefined) return;
		if (resolution === "STATIC" && !present.has("endpoints")) fault(at, "needs endpoints with resolution STATIC");
		if (resolution === "NONE" && present.has("endpoints"))
			fault(within(at, "endpoints"), "has no meaning with resolution NONE: write STATIC or DNS");
		if (resolution !== "STATIC" && !present.has("endpoints")) {
			for (const host of fields.hosts) {
				if (host.startsWith("*"))
					fault(within(at, "hosts"), `${host} cannot be looked up: write the hosts one by one, or endpoints`);
			}
		}
	},
);

export type ServiceEntry = ValueOf<typeof readServiceEntry>;

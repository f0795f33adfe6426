/** Istio's VirtualService: which requests to a host go where. */
import { list, object, required, unsupported, type ValueOf } from "./fields.ts";
import { gateways } from "./http-match.ts";
import { readHttpRoute } from "./http-route.ts";
import { covers } from "./host-names.ts";
import { fault, within } from "./place.ts";
import { exportTo, hostPattern, labels, namespaceName, portNumber } from "./values.ts";
import { destination, sharesOfHundred, weight } from "./destination.ts";

const tcpRoute = object({
	match: list(
		object({
			port: portNumber,
			sourceLabels: labels,
			sourceNamespace: namespaceName,
			gateways,
			destinationSubnets: unsupported("TCP is told apart by its service and port"),
			sourceSubnet: unsupported("use sourceLabels or sourceNamespace"),
		}),
	),
	route: required(sharesOfHundred(list(object({ destination: required(destination), weight }), { nonEmpty: true }))),
});

export const readVirtualService = object(
	{
		hosts: required(list(hostPattern, { nonEmpty: true })),
		gateways,
		http: list(readHttpRoute, { nonEmpty: true }),
		tcp: list(tcpRoute, { nonEmpty: true }),
		exportTo,
		tls: unsupported("TLS that an application speaks itself is taken through by tcp routes"),
	},
	(fields, at, present) => {
		if (!present.has("http") && !present.has("tcp") && !present.has("tls")) fault(at, "needs http or tcp");
		for (const [index, host] of fields.hosts.entries()) {
			const other = fields.hosts.findIndex(
				(one, other) => other !== index && covers(one, host) && (one !== host || other < index),
			);
			if (other >= 0) fault(within(within(at, "hosts"), index), `${host} is covered by ${fields.hosts[other]} already`);
		}
	},
);

export type VirtualService = ValueOf<typeof readVirtualService>;
export type TcpRoutePolicy = ValueOf<typeof tcpRoute>;

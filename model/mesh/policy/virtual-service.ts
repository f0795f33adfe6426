/** Istio's VirtualService: which requests to a host go where. */
import { list, object, required, unsupported, type ValueOf } from "./fields.ts";
import { gateways } from "./http-match.ts";
import { readHttpRoute } from "./http-route.ts";
import { covers } from "./host-names.ts";
import { fault } from "./place.ts";
import { exportTo, hostPattern, labels, dnsLabel, portNumber } from "./values.ts";
import { type Destination, destination, sharesOfHundred, weight } from "./destination.ts";

const tcpRoute = object({
	match: list(
		object({
			port: portNumber,
			sourceLabels: labels,
			sourceNamespace: dnsLabel,
			gateways,
			destinationSubnets: unsupported("TCP is told apart by its service and port"),
			sourceSubnet: unsupported("use sourceLabels or sourceNamespace"),
		}),
	),
	route: required(sharesOfHundred(list(object({ destination: required(destination), weight }), { nonEmpty: true }))),
});

export const readVirtualService = object(
	{
		hosts: required(list(hostPattern, { nonEmpty: true, beside: overlap })),
		gateways,
		http: list(readHttpRoute, { nonEmpty: true }),
		tcp: list(tcpRoute, { nonEmpty: true }),
		exportTo,
		tls: unsupported("TLS that an application speaks itself is taken through by tcp routes"),
	},
	(_fields, at, present) => {
		if (!present.has("http") && !present.has("tcp") && !present.has("tls")) fault(at, "needs http or tcp");
	},
);

export type VirtualService = ValueOf<typeof readVirtualService>;
export type TcpRoutePolicy = ValueOf<typeof tcpRoute>;

function overlap(host: string, earlier: readonly string[]): string | undefined {
	const other = earlier.find((one) => covers(one, host) || covers(host, one));
	return other === undefined ? undefined : `${host} and ${other} overlap: each host must stand here once`;
}

/** Every destination that a VirtualService names. */
export function destinationsOf(spec: VirtualService): readonly Destination[] {
	const ofHttp = (spec.http ?? []).flatMap((route) => [
		...(route.route ?? []).map(({ destination }) => destination),
		...(route.mirror === undefined ? [] : [route.mirror]),
		...(route.mirrors ?? []).map(({ destination }) => destination),
		...(route.meshscope?.fallback?.destination === undefined ? [] : [route.meshscope.fallback.destination]),
	]);
	return [...ofHttp, ...(spec.tcp ?? []).flatMap(({ route }) => route.map(({ destination }) => destination))];
}

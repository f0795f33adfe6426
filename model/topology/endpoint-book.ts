/**
 * Who the ends of a series are, once everything that was seen is known: whose an address is, and which namespace a bare name belongs to.
 *
 * Sources name one service differently: a metric with cluster and namespace, an access log by name alone, a one-sided span by IP
 * address. They are one node of the graph.
 */
import { type Endpoint, UNKNOWN } from "./endpoint.ts";
import type { AddressSighting } from "./series.ts";

export interface EndpointBook {
	resolve(endpoint: Endpoint): Endpoint;
}

/** Where a name was met; undefined once it was met in two places. */
type Place = Pick<Endpoint, "cluster" | "namespace"> | undefined;

/**
 * @param known every endpoint that the store knows of, not only those of one window, so that a node's id does not depend on the window
 */
export function endpointBook(known: Iterable<Endpoint>, addresses: ReadonlyMap<string, AddressSighting>): EndpointBook {
	const places = new Map<string, Place>();
	for (const endpoint of known) if (isPlain(endpoint)) notePlace(places, endpoint);
	for (const { endpoint } of addresses.values()) if (isPlain(endpoint)) notePlace(places, endpoint);
	return {
		resolve(endpoint) {
			if (endpoint.kind === "unknown" && isAddress(endpoint.service)) {
				const owner = addresses.get(endpoint.service)?.endpoint;
				return owner === undefined || owner.kind === "unknown" ? UNKNOWN : complete(places, owner);
			}
			return complete(places, endpoint);
		},
	};
}

function isPlain({ kind }: Endpoint): boolean {
	return kind === "service" || kind === "gateway";
}

/** Names without a namespace tell nothing; neither does a cluster by itself. */
function notePlace(places: Map<string, Place>, { cluster, namespace, service }: Endpoint): void {
	if (namespace === "") return;
	if (!places.has(service)) {
		places.set(service, { cluster, namespace });
		return;
	}
	const place = places.get(service);
	if (place === undefined) return;
	const isSame = place.namespace === namespace && (place.cluster === cluster || place.cluster === "" || cluster === "");
	if (!isSame) places.set(service, undefined);
	else if (place.cluster === "") places.set(service, { cluster, namespace });
}

/** The missing parts of a name that is met in one place only. */
function complete(places: ReadonlyMap<string, Place>, endpoint: Endpoint): Endpoint {
	if (!isPlain(endpoint) || (endpoint.namespace !== "" && endpoint.cluster !== "")) return endpoint;
	const place = places.get(endpoint.service);
	if (place === undefined) return endpoint;
	if (endpoint.namespace !== "" && endpoint.namespace !== place.namespace) return endpoint;
	if (endpoint.cluster !== "" && endpoint.cluster !== place.cluster) return endpoint;
	if (endpoint.namespace === place.namespace && endpoint.cluster === place.cluster) return endpoint;
	return { ...endpoint, cluster: place.cluster, namespace: place.namespace };
}

/** IPv4, or anything with two colons, which no service's name has. */
function isAddress(name: string): boolean {
	return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name) || /^[0-9a-fA-F.:%]*:[0-9a-fA-F.:]*:[0-9a-zA-Z.:%]*$/.test(name);
}

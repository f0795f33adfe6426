/** How the hosts of a policy are read: which service of the mesh a name means, and which names a service has. */

/** The domain of the mesh's services, as in Kubernetes; no setting, since nothing but these names depends on it. */
const SUFFIX = ".svc.cluster.local";

/** `*.a.b` covers everything below `a.b`; any other pattern only itself. */
export function covers(pattern: string, host: string): boolean {
	return pattern === host || (pattern.startsWith("*.") && host.endsWith(pattern.slice(1)));
}

export function serviceHost(namespace: string, service: string): string {
	return `${service}.${namespace}${SUFFIX}`;
}

/** Of `service.namespace.svc.cluster.local`; undefined for every other host. */
export function serviceOfHost(host: string): { readonly service: string; readonly namespace: string } | undefined {
	if (!host.endsWith(SUFFIX)) return undefined;
	const [service, namespace, ...rest] = host.slice(0, -SUFFIX.length).split(".");
	return service === undefined || namespace === undefined || rest.length > 0 || service === "*"
		? undefined
		: { service, namespace };
}

/**
 * The whole name that a document of `namespace` means. `isKnown` tells whether a host, as a whole name, is one of the mesh or of a
 * ServiceEntry: only so can `reviews.shop` be told from `example.com`.
 */
export function resolveHost(host: string, namespace: string, isKnown: (host: string) => boolean): string {
	if (isKnown(host)) return host;
	const labels = host.split(".");
	if (labels.length === 1 && host !== "*" && !host.includes(":")) return host + "." + namespace + SUFFIX;
	if (labels.length === 3 && labels[2] === "svc") return `${host}.cluster.local`;
	if (labels.length === 2 && isKnown(host + SUFFIX)) return host + SUFFIX;
	return host;
}

/** Every name under which a workload of `namespace` may call a host, the whole name last. */
export function namesOf(host: string, namespace: string): readonly string[] {
	const service = serviceOfHost(host);
	if (service === undefined) return [host];
	const short = `${service.service}.${service.namespace}`;
	return [...(service.namespace === namespace ? [service.service] : []), short, `${short}.svc`, host];
}

/** Which of many items cover a host, its own before suffixes; each has a host or a suffix. Without it a mesh costs the square of its services. */
export function coveringIndex<T extends { readonly host: string }>(items: readonly T[]): (host: string) => readonly T[] {
	const exact = Map.groupBy(items, ({ host }) => host);
	const suffixes = items.filter(({ host }) => host.startsWith("*."));
	return (host) => {
		const own = exact.get(host) ?? [];
		const wider = suffixes.filter((one) => one.host !== host && covers(one.host, host));
		return wider.length === 0 ? own : [...own, ...wider];
	};
}

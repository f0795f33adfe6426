/**
 * The address bar as state. Four paths do not need a library: a page is a function of `location`, and a change of it is a
 * `navigate`. Every view reads its settings from the query string, so that back, forward, reload and a shared link show the same.
 */
import { useMemo, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
	listeners.add(listener);
	window.addEventListener("popstate", listener);
	return () => {
		listeners.delete(listener);
		window.removeEventListener("popstate", listener);
	};
}

export interface Location {
	readonly path: string;
	readonly params: URLSearchParams;
}

export function useLocation(): Location {
	const href = useSyncExternalStore(subscribe, () => window.location.pathname + window.location.search);
	return useMemo(() => {
		const url = new URL(href, window.location.origin);
		return { path: url.pathname, params: url.searchParams };
	}, [href]);
}

/** Goes to `href`, a path of this site. `replace` for changes that "back" should not stop at. */
export function navigate(href: string, options: { readonly replace?: boolean } = {}): void {
	if (href === window.location.pathname + window.location.search) return;
	if (options.replace === true) window.history.replaceState(undefined, "", href);
	else {
		window.history.pushState(undefined, "", href);
		window.scrollTo(0, 0);
	}
	for (const listener of listeners) listener();
}

/** `path` with `changes` made to `params`: undefined and "" remove a parameter, an array repeats it. */
export function hrefWith(
	path: string,
	params: URLSearchParams,
	changes: Readonly<Record<string, string | readonly string[] | undefined>>,
): string {
	const next = new URLSearchParams(params);
	for (const [name, value] of Object.entries(changes)) {
		next.delete(name);
		for (const item of typeof value === "string" ? [value] : (value ?? [])) if (item !== "") next.append(name, item);
	}
	const query = next.toString();
	return query === "" ? path : `${path}?${query}`;
}

export function traceHref(traceId: string): string {
	return `/trace/${encodeURIComponent(traceId)}`;
}

/** The trace list, narrowed; the names are those of `data/trace-filter.ts`. */
export function tracesHref(filter: Readonly<Record<string, string | undefined>>): string {
	return hrefWith("/traces", new URLSearchParams(), filter);
}

/** A service's page, by the ID of its node or by its name. */
export function serviceHref(service: string, range: Readonly<Record<string, string | undefined>>): string {
	return hrefWith(`/service/${encodeURIComponent(service)}`, new URLSearchParams(), range);
}

/** What changed at a moment: as long before it as after it. Times in epoch ms. */
export function compareHref(momentMs: number, aroundMs: number, endMs: number): string {
	const [from, to] = [new Date(momentMs), new Date(Math.max(momentMs + 1_000, Math.min(momentMs + aroundMs, endMs)))];
	const windows = {
		...{ from: from.toISOString(), to: to.toISOString() },
		...{ baselineFrom: new Date(momentMs - aroundMs).toISOString(), baselineTo: from.toISOString() },
	};
	return hrefWith("/changes", new URLSearchParams(), windows);
}

/** An edge in the graph of a range. */
export function edgeHref(id: string, { from, to }: { readonly from: string; readonly to: string }): string {
	return hrefWith("/", new URLSearchParams({ edge: id }), { from, to });
}

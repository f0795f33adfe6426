/**
 * What the palette offers: pages, what the server knows of the mesh, and actions. Pure; names are senders' text and stay as they are.
 */
import type { GraphAnswer } from "../../api/contract/topology.ts";
import { hrefWith, traceHref, tracesHref } from "../base/router.ts";
import type { PaletteEntry } from "./palette-search.ts";
import { likelyTraceIdIn } from "./trace-id-text.ts";

/** Range of the page, carried over to what is opened: `from` and `to` as the address has them. */
export type Range = Readonly<{ from: string | undefined; to: string | undefined }>;

export interface PageOfFrame {
	readonly path: string;
	readonly label: string;
	/** After `g`. */
	readonly key: string;
}

export function pageEntries(pages: readonly PageOfFrame[]): readonly PaletteEntry[] {
	return pages.map(({ path, label, key }) => ({
		...{ key: `page ${path}`, kind: "page", label, more: `g ${key}`, texts: [label.toLowerCase()], target: { href: path } },
		also: "page go to",
	}));
}

/** A pasted ID, header or log line; no entry for anything else. */
export function traceEntries(text: string): readonly PaletteEntry[] {
	const id = likelyTraceIdIn(text);
	if (id === undefined) return [];
	return [{ key: `trace ${id}`, kind: "trace", label: id, texts: [id], target: { href: traceHref(id) } }];
}

/** @param nodeHref the address of a service, by the ID of its node in the graph and its name in traces */
export function meshEntries(
	graph: Pick<GraphAnswer, "nodes" | "edges"> | undefined,
	services: readonly string[],
	range: Range,
	serviceHref: (node: { readonly id: string; readonly service: string }) => string,
): readonly PaletteEntry[] {
	const nodes = graph?.nodes ?? [];
	const inGraph = new Set(nodes.map(({ service }) => service));
	const untraced = services.filter((name) => name !== "" && !inGraph.has(name));
	const namespaces = new Set(nodes.map(({ namespace }) => namespace));
	return [
		...nodes.map(({ id, service, kind }): PaletteEntry => ({
			...{ key: `service ${id}`, kind: "service", label: id, more: kind, texts: [id.toLowerCase()], also: kind },
			target: { href: serviceHref({ id, service }) },
		})),
		...(graph?.edges ?? []).map(({ id, source, target, protocol }): PaletteEntry => ({
			...{ key: `edge ${id}`, kind: "edge", label: `${source} → ${target}`, more: protocol },
			texts: [source.toLowerCase(), target.toLowerCase()],
			target: { href: hrefWith("/", new URLSearchParams({ edge: id }), range) },
		})),
		...[...namespaces].filter(isQuotable).map((name): PaletteEntry => ({
			...{ key: `namespace ${name}`, kind: "namespace", label: name, more: "namespace", texts: [name.toLowerCase()] },
			target: { href: hrefWith("/", new URLSearchParams(), { ...range, find: `namespace = "${name}"` }) },
		})),
		...[...inGraph, ...untraced]
			.filter((name) => name !== "")
			.map((name): PaletteEntry => ({
				...{ key: `traces ${name}`, kind: "traces", label: `Traces of ${name}` },
				texts: [`traces of ${name.toLowerCase()}`],
				target: { href: tracesHref({ ...range, service: name }) },
			})),
	];
}

/** The find box has no way to write a quotation mark. */
function isQuotable(name: string): boolean {
	return name !== "" && !name.includes('"');
}

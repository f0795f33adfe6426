/**
 * The palette: one box for pages, services, edges, traces and actions, worked without a mouse. A combobox with a listbox, as ARIA's
 * authoring practices have it: the focus stays in the box, and the chosen option is named to readers.
 */
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import { formatCount, shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { pageActions } from "../../base/page-actions.ts";
import { navigate, serviceHref, useLocation } from "../../base/router.ts";
import { useTheme } from "../../base/theme.ts";
import { meshEntries, pageEntries, traceEntries } from "../../data/palette-entries.ts";
import type { PageOfFrame } from "../../data/palette-entries.ts";
import { findEntries } from "../../data/palette-search.ts";
import type { PaletteEntry } from "../../data/palette-search.ts";
import { graphQuery, readGraphSettings } from "../../data/graph-settings.ts";
import { useGraph, useServices } from "../../data/queries.ts";
import { frameActions } from "./frame-actions.ts";

interface PaletteProps {
	readonly pages: readonly PageOfFrame[];
	readonly openHelp: () => void;
	readonly onClose: () => void;
}

/** More are counted, not drawn: the next letter finds them. */
const SHOWN = 40;
const MAX_TEXT = 300;
const KIND_WORDS = {
	trace: "Trace",
	page: "Page",
	service: "Service",
	edge: "Edge",
	namespace: "Namespace",
	action: "",
	traces: "",
};

export function Palette({ pages, openHelp, onClose }: PaletteProps): ReactNode {
	const [text, setText] = useState("");
	const [at, setAt] = useState(0);
	const input = useRef<HTMLInputElement>(null);
	// Before it is painted: who sees the box types into it.
	useLayoutEffect(() => input.current?.focus(), []);
	const { entries, problem } = useEntries(pages, openHelp);
	const { shown, total } = useMemo(() => {
		const traces = traceEntries(text);
		const found = findEntries(entries, text, SHOWN);
		return { shown: [...traces, ...found.shown], total: found.total + traces.length };
	}, [entries, text]);
	const active = Math.min(at, shown.length - 1);

	const choose = (entry: PaletteEntry | undefined): void => {
		if (entry === undefined) return;
		onClose();
		if ("run" in entry.target) entry.target.run();
		else {
			navigate(entry.target.href);
			document.getElementById("page")?.focus({ preventScroll: true });
		}
	};
	const onKey = (event: KeyboardEvent): void => {
		const next = nextAt(event.key, active, shown.length);
		if (next !== undefined) setAt(next);
		else if (event.key === "Enter" && !event.nativeEvent.isComposing) choose(shown[active]);
		else return;
		event.preventDefault();
	};
	return (
		<div className="palette-body">
			<div className="palette-box">
				<Icon name="search" />
				<input
					type="text"
					role="combobox"
					aria-label="Go to or do"
					aria-expanded="true"
					aria-controls="palette-list"
					aria-autocomplete="list"
					aria-activedescendant={active < 0 ? undefined : `palette-${active}`}
					aria-describedby="palette-note"
					placeholder="Page, service, edge (“cart redis”), trace ID, action"
					maxLength={MAX_TEXT}
					autoComplete="off"
					spellCheck={false}
					ref={input}
					value={text}
					onChange={(event) => {
						setText(event.target.value);
						setAt(0);
					}}
					onKeyDown={onKey}
				/>
			</div>
			<div id="palette-list" role="listbox" aria-label="Found" className="palette-list">
				{shown.map((entry, i) => (
					<Option
						key={entry.key}
						entry={entry}
						id={`palette-${i}`}
						selected={i === active}
						onChoose={() => choose(entry)}
						onPoint={() => setAt(i)}
					/>
				))}
			</div>
			<p className="palette-note muted" id="palette-note" role="status">
				{problem !== undefined && <span>Services and edges could not be read: {problem} </span>}
				{total === 0
					? "Nothing is called that. Every word must be in the name."
					: total > shown.length
						? `The first ${shown.length} of ${formatCount(total)}. Type on to narrow.`
						: `${formatCount(total)} found.`}
			</p>
		</div>
	);
}

/** Where a key leads in the list; undefined for a key that is not the list's. */
function nextAt(key: string, at: number, count: number): number | undefined {
	if (count === 0) return undefined;
	switch (key) {
		case "ArrowDown":
			return (at + 1) % count;
		case "ArrowUp":
			return (at - 1 + count) % count;
		case "PageDown":
			return Math.min(count - 1, at + 8);
		case "PageUp":
			return Math.max(0, at - 8);
		default:
			return undefined;
	}
}

interface OptionProps {
	readonly entry: PaletteEntry;
	readonly id: string;
	readonly selected: boolean;
	readonly onChoose: () => void;
	readonly onPoint: () => void;
}

function Option({ entry, id, selected, onChoose, onPoint }: OptionProps): ReactNode {
	const { kind, label, more } = entry;
	return (
		<button
			type="button"
			// The focus stays in the box.
			tabIndex={-1}
			id={id}
			role="option"
			aria-selected={selected}
			className="palette-option"
			ref={selected ? scrollIntoList : undefined}
			onClick={onChoose}
			onPointerMove={selected ? undefined : onPoint}
		>
			<bdi className="told one-line">{shorten(label)}</bdi>
			<span className="palette-kind muted">
				{KIND_WORDS[kind]}{" "}
				{more !== undefined && more.toLowerCase() !== KIND_WORDS[kind].toLowerCase() && <span>{more}</span>}
			</span>
		</button>
	);
}

function scrollIntoList(option: HTMLElement | null): void {
	option?.scrollIntoView({ block: "nearest" });
}

function useEntries(
	pages: readonly PageOfFrame[],
	openHelp: () => void,
): { entries: readonly PaletteEntry[]; problem: string | undefined } {
	const { path, params } = useLocation();
	const theme = useTheme();
	const settings = readGraphSettings(params);
	const graph = useGraph(graphQuery({ ...settings, groupBy: "service" }), false);
	const services = useServices();
	const entries = useMemo(() => {
		const range = { from: params.get("from") ?? undefined, to: params.get("to") ?? undefined };
		const names = services.data?.services.map(({ name }) => name) ?? [];
		return [
			...pageEntries(pages),
			...frameActions({ path, params, theme, openHelp }),
			...pageActions().map(({ key, label, run }): PaletteEntry => ({
				...{ key: `action ${key}`, kind: "action", label, texts: [label.toLowerCase()], target: { run } },
			})),
			...meshEntries(graph.data, names, range, ({ id }) => serviceHref(id, range)),
		];
	}, [path, params, theme, pages, openHelp, graph.data, services.data]);
	return { entries, problem: (graph.error ?? services.error)?.message };
}

/** The frame of every page: where one is, where one can go, whether data arrives, and the keys that work everywhere. */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import type { ComponentProps, ReactNode } from "react";
import { ApiError } from "../base/api.ts";
import { formatRate } from "../base/format.ts";
import { Icon } from "../base/icons.tsx";
import { Link } from "../base/link.tsx";
import { navigate, useLocation } from "../base/router.ts";
import { setTheme, useTheme } from "../base/theme.ts";
import type { Theme } from "../base/theme.ts";
import { isTyping } from "../base/typing.ts";
import type { PageOfFrame } from "../data/palette-entries.ts";
import { useStatus } from "../data/queries.ts";
import { ErrorBoundary } from "./error-boundary.tsx";
import { GraphView } from "./graph/graph-view.tsx";
import { Help } from "./help.tsx";
import { ID_BOX, IdBox } from "./id-box.tsx";
import { LoadedPage } from "./loaded-page.tsx";
import { isPaletteKey, PaletteDialog } from "./palette-dialog.tsx";
import { SetupView } from "./setup/setup-view.tsx";
import { TokenView } from "./token-view.tsx";
import { TraceView } from "./trace/trace-view.tsx";

const PAGES: readonly PageOfFrame[] = [
	{ path: "/", label: "Graph", key: "g" },
	{ path: "/traces", label: "Traces", key: "t" },
	{ path: "/mtls", label: "mTLS", key: "m" },
	{ path: "/changes", label: "Changes", key: "c" },
	{ path: "/mesh", label: "Mesh", key: "e" },
	{ path: "/status", label: "Status", key: "s" },
	{ path: "/setup", label: "Setup", key: "u" },
];

const PALETTE_KEY = /Mac|iP(hone|ad)/.test(navigator.userAgent) ? "⌘K" : "Ctrl K";

const LOADED_PAGES: Readonly<Record<string, ComponentProps<typeof LoadedPage>>> = {
	"/traces": { title: "Traces", load: async () => (await import("./traces/traces-view.tsx")).TracesView },
	"/mtls": { title: "mTLS", load: async () => (await import("./audit-pages.ts")).MtlsView },
	"/changes": { title: "Changes", load: async () => (await import("./audit-pages.ts")).ChangesView },
	"/mesh": { title: "Mesh", load: async () => (await import("./audit-pages.ts")).MeshView },
	"/status": { title: "Status", load: async () => (await import("./audit-pages.ts")).StatusView },
};

const SERVICE_PAGE: ComponentProps<typeof LoadedPage> = {
	title: "Service",
	load: async () => (await import("./service-pages.ts")).ServiceView,
};

export function App(): ReactNode {
	const { path, params } = useLocation();
	const { error } = useStatus();
	const locked = error instanceof ApiError && error.code === "unauthenticated" ? error : undefined;
	const [helpOpen, setHelpOpen] = useState(false);
	const client = useQueryClient();
	// The fault may lie in what was read: the next attempt reads again.
	const forget = (): void => client.removeQueries({ type: "inactive" });
	const [paletteOpen, setPaletteOpen] = useState(false);
	const openHelp = useCallback(() => setHelpOpen(true), []);
	const openPalette = useCallback(() => setPaletteOpen(true), []);
	useGlobalKeys(openHelp, openPalette);
	return (
		<>
			<a className="skip" href="#page">
				Skip to content
			</a>
			<header className="top">
				<Link href="/" className="brand" aria-label="meshscope, graph">
					<svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
						<path
							d="M9 10 22 8M9 10l4 13M22 8l-9 15M22 8l2 12M13 23l11-3"
							stroke="currentColor"
							strokeWidth="2"
							fill="none"
						/>
						<g className="brand-nodes">
							<circle cx="9" cy="10" r="3.4" />
							<circle cx="22" cy="8" r="3.4" />
							<circle cx="13" cy="23" r="3.4" />
							<circle cx="24" cy="20" r="3.4" />
						</g>
					</svg>
					meshscope
				</Link>
				<nav aria-label="Pages">
					{PAGES.map((page) => (
						<Link key={page.path} href={page.path} aria-current={isCurrent(page.path, path) ? "page" : undefined}>
							{page.label}
						</Link>
					))}
				</nav>
				<IdBox />
				<button
					type="button"
					className="quiet palette-button"
					aria-label={`${PALETTE_KEY}: go to or do`}
					aria-keyshortcuts="Control+K Meta+K"
					title="Go to or do (Ctrl-K or ⌘K)"
					onClick={openPalette}
				>
					<kbd>{PALETTE_KEY}</kbd>
				</button>
				<ErrorBoundary at={path} fallback={<span className="arrival" />}>
					<Arrival />
				</ErrorBoundary>
				<ThemeButton />
				<button type="button" className="quiet" aria-label="Keys" title="Keys (?)" onClick={openHelp}>
					?
				</button>
			</header>
			<main id="page" tabIndex={-1}>
				<ErrorBoundary at={`${path}?${params.toString()}`} onFailure={forget}>
					{locked === undefined ? <Page path={path} /> : <TokenView error={locked} />}
				</ErrorBoundary>
			</main>
			<PaletteDialog open={paletteOpen} onClose={() => setPaletteOpen(false)} pages={PAGES} openHelp={openHelp} />
			<Help open={helpOpen} onClose={() => setHelpOpen(false)} />
		</>
	);
}

function isCurrent(page: string, path: string): boolean {
	return path === page || (page === "/traces" && path.startsWith("/trace/")) || (page === "/" && path.startsWith("/service/"));
}

function Page({ path }: { readonly path: string }): ReactNode {
	if (path === "/") return <GraphView />;
	const loaded = LOADED_PAGES[path];
	if (loaded !== undefined) return <LoadedPage key={path} {...loaded} />;
	if (path === "/setup") return <SetupView />;
	if (path.startsWith("/service/")) return <LoadedPage key={path} {...SERVICE_PAGE} />;
	if (path.startsWith("/trace/")) {
		const traceId = decode(path.slice("/trace/".length));
		return <TraceView key={traceId} traceId={traceId} />;
	}
	return (
		<div className="page">
			<h1>No such page</h1>
			<p>
				Nothing is at <code className="told">{decode(path)}</code>. <Link href="/">See the graph</Link>.
			</p>
		</div>
	);
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

/** Whether data arrives, on every page. */
function Arrival(): ReactNode {
	const status = useStatus();
	if (status.isError) return <span className="arrival arrival-lost">No connection</span>;
	const rates = status.data?.ingest.recordsPerSecond;
	if (rates === undefined) return <span className="arrival" />;
	const arriving = rates.traces + rates.logs + rates.metrics > 0;
	return (
		<Link
			href="/status"
			className={arriving ? "arrival arrival-on" : "arrival"}
			title={`${formatRate(rates.traces)} spans, ${formatRate(rates.logs)} logs, ${formatRate(rates.metrics)} metric points a second`}
		>
			{formatRate(rates.traces)} spans/s
		</Link>
	);
}

const NEXT_THEME: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };
const THEME_ICON = { system: "system", light: "sun", dark: "moon" } as const;

function ThemeButton(): ReactNode {
	const theme = useTheme();
	const label = `Theme: ${theme}. Change to ${NEXT_THEME[theme]}.`;
	return (
		<button type="button" className="quiet" aria-label={label} title={label} onClick={() => setTheme(NEXT_THEME[theme])}>
			<Icon name={THEME_ICON[theme]} />
		</button>
	);
}

/** How long after `g` a letter still names a page. */
const CHORD_MS = 1_000;

function useGlobalKeys(openHelp: () => void, openPalette: () => void): void {
	const goUntilMs = useRef(0);
	useEffect(() => {
		const onKey = (event: KeyboardEvent): void => {
			if (isPaletteKey(event)) {
				event.preventDefault();
				openPalette();
				return;
			}
			if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
			if (event.timeStamp < goUntilMs.current) {
				goUntilMs.current = 0;
				const page = PAGES.find((candidate) => candidate.key === event.key);
				if (page !== undefined) {
					event.preventDefault();
					navigate(page.path);
					return;
				}
			}
			if (event.key === "g") goUntilMs.current = event.timeStamp + CHORD_MS;
			else if (event.key === "/") {
				event.preventDefault();
				document.getElementById(ID_BOX)?.focus();
			} else if (event.key === "?") {
				event.preventDefault();
				openHelp();
			}
		};
		// In the capturing phase: after `g`, the letter is a page's and not a key of the view.
		window.addEventListener("keydown", onKey, { capture: true });
		return () => window.removeEventListener("keydown", onKey, { capture: true });
	}, [openHelp, openPalette]);
}

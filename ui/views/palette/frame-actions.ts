/** What can be done on the page at hand, as entries of the palette: its range, live or paused, theme, link, help. */
import { hrefWith, navigate } from "../../base/router.ts";
import { setTheme } from "../../base/theme.ts";
import type { Theme } from "../../base/theme.ts";
import type { PaletteEntry } from "../../data/palette-search.ts";
import { RANGES } from "../../data/trace-filter.ts";

export interface FrameState {
	readonly path: string;
	readonly params: URLSearchParams;
	readonly theme: Theme;
	readonly openHelp: () => void;
}

/** Pages that ask again by themselves, and stop with `live=off`. */
const LIVE_PAGES: readonly string[] = ["/", "/traces"];
const RANGE_PAGES: readonly string[] = ["/", "/traces", "/mtls", "/changes"];

const THEMES: readonly { readonly theme: Theme; readonly label: string; readonly also: string }[] = [
	{ theme: "dark", label: "Theme: dark", also: "mode night colours colors" },
	{ theme: "light", label: "Theme: light", also: "mode day colours colors" },
	{ theme: "system", label: "Theme: as the system says", also: "mode colours colors" },
];

export function frameActions({ path, params, theme, openHelp }: FrameState): readonly PaletteEntry[] {
	const entries: PaletteEntry[] = [];
	const add = (label: string, also: string, run: () => void): void => {
		entries.push({ key: `action ${label}`, kind: "action", label, texts: [label.toLowerCase()], also, target: { run } });
	};
	if (LIVE_PAGES.includes(path)) {
		const isPaused = params.get("live") === "off";
		add(isPaused ? "Resume" : "Pause", "live refresh stop start play", () =>
			navigate(hrefWith(path, params, { live: isPaused ? undefined : "off" }), { replace: true }),
		);
	}
	if (RANGE_PAGES.includes(path)) {
		for (const { from, label } of RANGES)
			add(label, `time range ${from}`, () => navigate(hrefWith(path, params, { from, to: undefined })));
	}
	add("Copy the link to this view", "share url address", () => void copyLink());
	add("Show the keys", "keyboard help shortcuts ?", openHelp);
	for (const choice of THEMES) if (choice.theme !== theme) add(choice.label, choice.also, () => setTheme(choice.theme));
	return entries;
}

/** Outside a secure context there is no clipboard: then the address bar is the link. */
async function copyLink(): Promise<void> {
	await navigator.clipboard?.writeText(window.location.href).catch(() => undefined);
}

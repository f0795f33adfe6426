/** The colours of the theme that is on, for what is drawn on a canvas and not by style sheets. */
import { useMemo, useSyncExternalStore } from "react";
import { useTheme } from "../../base/theme.ts";
import { readPalette } from "./draw.ts";
import type { Palette } from "./draw.ts";

function subscribe(listener: () => void): () => void {
	const query = matchMedia("(prefers-color-scheme: dark)");
	query.addEventListener("change", listener);
	return () => query.removeEventListener("change", listener);
}

export function usePalette(): Palette {
	// Draws anew when a theme is chosen; what the system says comes through the subscription.
	useTheme();
	const colours = useSyncExternalStore(subscribe, () => JSON.stringify(readPalette(document.documentElement)));
	return useMemo(() => JSON.parse(colours) as Palette, [colours]);
}

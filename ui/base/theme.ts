/** Light, dark, or as the system says. The choice is kept in this browser; `public/theme.js` applies it before the first paint. */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "meshscope.theme";
const listeners = new Set<() => void>();

function readTheme(): Theme {
	const theme = document.documentElement.dataset.theme;
	return theme === "light" || theme === "dark" ? theme : "system";
}

export function setTheme(theme: Theme): void {
	if (theme === "system") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme;
	try {
		if (theme === "system") localStorage.removeItem(KEY);
		else localStorage.setItem(KEY, theme);
	} catch {
		// Storage is switched off: the choice lasts as long as the page.
	}
	for (const listener of listeners) listener();
}

export function useTheme(): Theme {
	return useSyncExternalStore((listener) => {
		listeners.add(listener);
		return () => listeners.delete(listener);
	}, readTheme);
}

/** Paper is light, whatever the screen is. */
export function printLight(): void {
	let chosen: Theme | undefined;
	window.addEventListener("beforeprint", () => {
		chosen ??= readTheme();
		document.documentElement.dataset.theme = "light";
	});
	window.addEventListener("afterprint", () => {
		if (chosen === "system") delete document.documentElement.dataset.theme;
		else if (chosen !== undefined) document.documentElement.dataset.theme = chosen;
		chosen = undefined;
	});
}

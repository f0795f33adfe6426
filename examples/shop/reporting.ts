/** Would like to read everybody's cart and may not: its calls are denied, by its identity and not by its address. */
import { call } from "./app.ts";
import type { AppSettings } from "./app.ts";

const EVERY_MS = 1_000;

export function start(settings: AppSettings): void {
	// Whether it is denied is for the mesh to tell; an unreachable cart is no reason to end.
	setInterval(() => void call(settings, "cart:8080", "/carts/everybody").catch(() => undefined), EVERY_MS);
}

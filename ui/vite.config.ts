/**
 * How the UI is bundled. The server's policy is `default-src 'self'`, so nothing may be inlined: no data: URI, no inline script.
 */
import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const uiDirectory = fileURLToPath(new URL(".", import.meta.url));

export default defineConfig({
	root: uiDirectory,
	plugins: [react()],
	build: {
		outDir: `${uiDirectory}dist`,
		emptyOutDir: true,
		target: "es2023",
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		reportCompressedSize: false,
	},
	server: {
		// For `vite ui` beside a running server.
		proxy: { "/api": process.env.MESHSCOPE_API ?? "http://127.0.0.1:4300" },
	},
});

/** Entry of the page: one query client, one tree; a fault of the frame itself is told too. */
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { printLight } from "./base/theme.ts";
import { createQueryClient } from "./data/queries.ts";
import { App } from "./views/app.tsx";
import { ErrorBoundary } from "./views/error-boundary.tsx";

printLight();
createRoot(document.getElementById("root")!).render(
	<StrictMode>
		<QueryClientProvider client={createQueryClient()}>
			<ErrorBoundary at="">
				<App />
			</ErrorBoundary>
		</QueryClientProvider>
	</StrictMode>,
);

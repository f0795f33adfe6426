/** Entry of the page: one query client, one tree. */
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createQueryClient } from "./data/queries.ts";
import { App } from "./views/app.tsx";

createRoot(document.getElementById("root")!).render(
	<StrictMode>
		<QueryClientProvider client={createQueryClient()}>
			<App />
		</QueryClientProvider>
	</StrictMode>,
);

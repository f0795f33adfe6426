/** The trace as the server sends it. A plain link streams to disk; it cannot carry a token, so with one the page fetches it first. */
import { useState } from "react";
import type { ReactNode } from "react";
import { saveFile } from "../../base/download.ts";
import { Icon } from "../../base/icons.tsx";
import { readToken, tokenHeaders } from "../../base/token.ts";

export function JsonDownload({ traceId }: { readonly traceId: string }): ReactNode {
	const [failed, setFailed] = useState(false);
	const href = `/api/v1/traces/${traceId}`;
	const name = `trace-${traceId}.json`;
	if (readToken() === undefined) {
		return (
			<a className="button-link" href={href} download={name}>
				<Icon name="download" />
				JSON
			</a>
		);
	}
	const download = async (): Promise<void> => {
		try {
			const response = await fetch(href, { headers: tokenHeaders() });
			setFailed(!response.ok);
			if (!response.ok) return;
			saveFile(name, await response.blob());
		} catch {
			setFailed(true);
		}
	};
	return (
		<button type="button" onClick={() => void download()}>
			<Icon name="download" />
			{failed ? "JSON: failed, try again" : "JSON"}
		</button>
	);
}

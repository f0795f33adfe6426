/** What a view says when it cannot show what was asked for: the code to search for, what happened, what to do. */
import type { ReactNode } from "react";
import { ApiError } from "../base/api.ts";
import { Icon } from "../base/icons.tsx";

export function ErrorNotice({ error, what }: { readonly error: unknown; readonly what: string }): ReactNode {
	const known = error instanceof ApiError ? error : undefined;
	return (
		<div className="notice notice-error" role="alert">
			<Icon name="alert" />
			<div>
				<p>
					<strong>{what}</strong> <code>{known?.code ?? "internal"}</code>
				</p>
				<p className="told">{known?.message ?? String(error)}</p>
				{known !== undefined && <p className="muted">{known.fix}</p>}
			</div>
		</div>
	);
}

interface NoticeProps {
	readonly tone: "warn" | "good";
	readonly children: ReactNode;
}

export function Notice({ tone, children }: NoticeProps): ReactNode {
	return (
		<div className={`notice notice-${tone}`} role="status">
			<Icon name={tone === "good" ? "check" : "alert"} />
			<div>{children}</div>
		</div>
	);
}

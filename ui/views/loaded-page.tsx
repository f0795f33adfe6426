/** A page whose code is fetched when it is first asked for; that may fail, after an upgrade for one, and then the page says so. */
import { useEffect, useState } from "react";
import type { ComponentType, ReactNode } from "react";
import { ReloadNotice } from "./error-boundary.tsx";

interface LoadedPageProps {
	/** The same function each time: another one is another page. */
	readonly load: () => Promise<ComponentType>;
	readonly title: string;
}

export function LoadedPage({ load, title }: LoadedPageProps): ReactNode {
	const [loaded, setLoaded] = useState<{ readonly page: ComponentType } | "failed">();
	useEffect(() => {
		let wanted = true;
		const read = async (): Promise<void> => {
			const outcome = await load().then(
				(page) => ({ page }),
				() => "failed" as const,
			);
			if (wanted) setLoaded(outcome);
		};
		void read();
		return () => {
			wanted = false;
		};
	}, [load]);
	if (loaded !== undefined && loaded !== "failed") return <loaded.page />;
	return (
		<div className="page">
			<h1>{title}</h1>
			{loaded === undefined ? <p className="muted">Reading…</p> : <ReloadNotice />}
		</div>
	);
}

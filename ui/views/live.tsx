/** Whether a page goes on by itself, and the button and key that pause it. The choice is in the address (`live=off`). */
import { useEffect } from "react";
import type { ReactNode } from "react";
import { Icon } from "../base/icons.tsx";
import { hrefWith, navigate, useLocation } from "../base/router.ts";
import { isTyping } from "../base/typing.ts";

interface LiveProps {
	/** What the address says: not paused. */
	readonly live: boolean;
	/** A range with an end has nothing to wait for. */
	readonly isOpenEnded: boolean;
	readonly isLost: boolean;
}

export function Live({ live, isOpenEnded, isLost }: LiveProps): ReactNode {
	const { path, params } = useLocation();
	const isOn = live && isOpenEnded;
	return (
		<span className="live">
			<span className={isOn && !isLost ? "live-state live-on" : "live-state"} role="status">
				{!isOpenEnded ? "Fixed range" : !live ? "Paused" : isLost ? "Trying again" : "Live, every 5 s"}
			</span>
			{isOpenEnded && (
				<button
					type="button"
					aria-keyshortcuts="p"
					onClick={() => navigate(hrefWith(path, params, { live: live ? "off" : undefined }), { replace: true })}
				>
					<Icon name={live ? "pause" : "play"} />
					{live ? "Pause" : "Resume"}
				</button>
			)}
		</span>
	);
}

export function usePauseKey(live: boolean): void {
	const { path, params } = useLocation();
	useEffect(() => {
		const onKey = (event: globalThis.KeyboardEvent): void => {
			if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
			if (event.key === "p") navigate(hrefWith(path, params, { live: live ? "off" : undefined }), { replace: true });
		};
		window.addEventListener("keydown", onKey);
		return () => window.removeEventListener("keydown", onKey);
	}, [path, params, live]);
}

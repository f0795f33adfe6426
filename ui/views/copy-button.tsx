/** Copies a text and says so. Outside a secure context there is no clipboard API; then the button is not shown. */
import { useEffect, useState } from "react";
import type { ReactNode } from "react";
import { Icon } from "../base/icons.tsx";

interface CopyButtonProps {
	readonly text: string;
	readonly label: string;
	/** The label is written out beside the icon. */
	readonly shown?: boolean;
}

export function CopyButton({ text, label, shown = false }: CopyButtonProps): ReactNode {
	const [outcome, setOutcome] = useState<"copied" | "failed">();
	useEffect(() => {
		if (outcome === undefined) return undefined;
		const timer = setTimeout(() => setOutcome(undefined), 1_500);
		return () => clearTimeout(timer);
	}, [outcome]);
	if (!window.isSecureContext) return undefined;
	const copy = async (): Promise<void> => {
		try {
			await navigator.clipboard.writeText(text);
			setOutcome("copied");
		} catch {
			setOutcome("failed");
		}
	};
	return (
		<button type="button" className="quiet copy" onClick={() => void copy()} aria-label={label} title={label}>
			<Icon name={outcome === "copied" ? "check" : "copy"} />
			<span aria-live="polite">
				{outcome === undefined ? (shown ? label : "") : outcome === "copied" ? "Copied" : "Not copied"}
			</span>
		</button>
	);
}

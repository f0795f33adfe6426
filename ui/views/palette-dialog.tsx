/** Where the palette opens, and its key. What is in it is fetched when it is first opened. */
import { useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";
import type { PageOfFrame } from "../data/palette-entries.ts";
import { ReloadNotice } from "./error-boundary.tsx";
import type { Palette } from "./palette/palette.tsx";

interface PaletteCode {
	readonly Palette: typeof Palette;
}

interface PaletteDialogProps {
	readonly open: boolean;
	readonly onClose: () => void;
	readonly pages: readonly PageOfFrame[];
	readonly openHelp: () => void;
}

export function PaletteDialog({ open, onClose, pages, openHelp }: PaletteDialogProps): ReactNode {
	const dialog = useRef<HTMLDialogElement>(null);
	const [code, setCode] = useState<PaletteCode | "failed">();
	useEffect(() => {
		// A click beside it closes it, where the browser knows how.
		dialog.current?.setAttribute("closedby", "any");
		if (open && dialog.current?.open === false) dialog.current.showModal();
		if (!open) dialog.current?.close();
	}, [open]);
	useEffect(() => {
		if (!open || (code !== undefined && code !== "failed")) return;
		void import("./palette/palette.tsx").then(setCode, () => setCode("failed"));
	}, [open, code]);
	const close = (): void => {
		dialog.current?.close();
		onClose();
	};
	const closed = (): void => {
		// The event comes late: by then it may have been opened again.
		if (dialog.current?.open === false) onClose();
	};
	return (
		<dialog ref={dialog} className="palette card" aria-label="Go to or do" onClose={closed}>
			{open && code === "failed" && <ReloadNotice />}
			{open && code !== undefined && code !== "failed" && (
				<code.Palette pages={pages} openHelp={openHelp} onClose={close} />
			)}
		</dialog>
	);
}

/** Ctrl-K, and ⌘K where there is one: also from within a text box. */
export function isPaletteKey({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): boolean {
	return (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === "k";
}

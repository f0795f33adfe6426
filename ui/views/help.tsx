/** The list of keys, opened by `?`. */
import { useEffect, useRef } from "react";
import type { ReactNode } from "react";

const KEYS: readonly { readonly title: string; readonly keys: readonly (readonly [string, string])[] }[] = [
	{
		title: "Everywhere",
		keys: [
			["Ctrl-K ⌘K", "go to a page, service, edge or trace; do something"],
			["/", "go to a trace ID"],
			["g g", "graph"],
			["g t", "traces"],
			["g m", "mTLS"],
			["g c", "changes"],
			["g e", "mesh"],
			["g s", "status"],
			["g u", "setup"],
			["?", "this list"],
		],
	},
	{
		title: "Graph",
		keys: [
			["← → ↑ ↓", "from a node along an edge, from an edge to its node"],
			["Enter", "open what is chosen"],
			["Esc", "close it"],
			["+ - 0", "zoom in, out, and to fit"],
			["Shift ← → ↑ ↓", "move the sheet"],
			["c", "fold the namespace of a node, unfold a folded one"],
			["p", "pause and resume"],
		],
	},
	{
		title: "Traces",
		keys: [
			["j k ↓ ↑", "next and previous trace"],
			["Enter", "open it"],
			["p", "pause and resume"],
		],
	},
	{
		title: "One trace",
		keys: [
			["↓ ↑", "next and previous span"],
			["→ ←", "expand, collapse, or go to child and parent"],
			["Enter", "show the span's details"],
			["Esc", "close them"],
			["e E", "next and previous failed span"],
			["] [", "next and previous match, or failed span"],
			["l L", "next and previous span with log records"],
			["o O", "fold or unfold the spans of a call, of all calls"],
			["f", "zoom to the span, again for all"],
			["w s a d", "zoom in and out, move left and right"],
			["Home End", "first and last span"],
		],
	},
];

export function Help({ open, onClose }: { readonly open: boolean; readonly onClose: () => void }): ReactNode {
	const dialog = useRef<HTMLDialogElement>(null);
	useEffect(() => {
		if (open && dialog.current?.open === false) dialog.current.showModal();
		if (!open) dialog.current?.close();
	}, [open]);
	return (
		<dialog
			ref={dialog}
			className="help card"
			aria-labelledby="help-title"
			onClose={() => dialog.current?.open === false && onClose()}
		>
			<header>
				<h2 id="help-title">Keys</h2>
				<button type="button" className="quiet" onClick={onClose}>
					Close
				</button>
			</header>
			<div className="help-columns">
				{KEYS.map((group) => (
					<section key={group.title}>
						<h3>{group.title}</h3>
						<dl>
							{group.keys.map(([keys, meaning]) => (
								<div key={keys}>
									<dt>
										{keys.split(" ").map((key) => (
											<kbd key={key}>{key}</kbd>
										))}
									</dt>
									<dd>{meaning}</dd>
								</div>
							))}
						</dl>
					</section>
				))}
			</div>
		</dialog>
	);
}

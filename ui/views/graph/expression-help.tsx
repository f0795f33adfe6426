/** The language of find and hide on one card; each example is tried by a click. */
import { useRef } from "react";
import type { ReactNode } from "react";
import { EXPRESSION_EXAMPLES, EXPRESSION_FIELDS } from "../../data/graph-fields.ts";

export function ExpressionHelp({ onFind }: { readonly onFind: (text: string) => void }): ReactNode {
	const dialog = useRef<HTMLDialogElement>(null);
	const example = (text: string): ReactNode => (
		<button
			type="button"
			className="graph-example mono"
			title={`Find ${text}`}
			onClick={() => {
				dialog.current?.close();
				onFind(text);
			}}
		>
			{text}
		</button>
	);
	return (
		<>
			<button
				type="button"
				className="quiet graph-help-button"
				aria-label="How to find"
				title="How to find and hide"
				onClick={() => dialog.current?.showModal()}
			>
				?
			</button>
			<dialog ref={dialog} className="help card" aria-labelledby="find-help-title">
				<header>
					<h2 id="find-help-title">Find and hide</h2>
					<button type="button" className="quiet" onClick={() => dialog.current?.close()}>
						Close
					</button>
				</header>
				<p>
					Compare fields and join the comparisons with <code>and</code>, <code>or</code>, <code>not</code> and brackets.
					Begin a comparison with <code>edge</code> or <code>node</code> to mean only these. Find lights up what
					matches; hide takes it away. <code>~</code> means contains; a text with blanks stands in <code>"quotes"</code>
					. What a comparison says nothing of, such as the latency of a node, it does not find.
				</p>
				<ul className="graph-examples">
					{EXPRESSION_EXAMPLES.map(({ text, finds }) => (
						<li key={text}>
							{example(text)} <span className="muted">{finds}</span>
						</li>
					))}
				</ul>
				<table className="graph-help-table">
					<thead>
						<tr>
							<th scope="col">Field</th>
							<th scope="col">Example</th>
							<th scope="col">Meaning</th>
						</tr>
					</thead>
					<tbody>
						{EXPRESSION_FIELDS.map(({ name, example: text, help }) => (
							<tr key={name}>
								<th scope="row">{name}</th>
								<td>{example(text)}</td>
								<td>{help}</td>
							</tr>
						))}
					</tbody>
				</table>
			</dialog>
		</>
	);
}

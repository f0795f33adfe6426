/** The box on every page that takes a trace ID, or a text that holds one (a `traceparent` header, a log line, an address). */
import { useState } from "react";
import type { FormEvent, ReactNode } from "react";
import { Icon } from "../base/icons.tsx";
import { navigate, traceHref } from "../base/router.ts";
import { traceIdIn } from "../data/trace-id-text.ts";

export const ID_BOX = "trace-id-box";

export function IdBox(): ReactNode {
	const [text, setText] = useState("");
	const [problem, setProblem] = useState<string>();
	const submit = (event: FormEvent): void => {
		event.preventDefault();
		const typed = text.trim();
		if (typed === "") return;
		const id = traceIdIn(typed);
		if (id === undefined) {
			setProblem("A trace ID is up to 32 hex digits, not all zero.");
			return;
		}
		setProblem(undefined);
		setText("");
		navigate(traceHref(id));
	};
	return (
		<form className="id-box" role="search" onSubmit={submit}>
			<Icon name="search" />
			<input
				id={ID_BOX}
				type="text"
				className="mono"
				value={text}
				placeholder="Go to trace ID"
				aria-label="Go to trace ID"
				aria-invalid={problem !== undefined}
				aria-describedby={problem === undefined ? undefined : `${ID_BOX}-problem`}
				autoComplete="off"
				spellCheck={false}
				onChange={(event) => {
					setText(event.target.value);
					setProblem(undefined);
				}}
				onKeyDown={(event) => {
					if (event.key === "Escape") event.currentTarget.blur();
				}}
			/>
			<kbd aria-hidden="true">/</kbd>
			{problem !== undefined && (
				<p className="id-problem" id={`${ID_BOX}-problem`} role="alert">
					{problem}
				</p>
			)}
		</form>
	);
}

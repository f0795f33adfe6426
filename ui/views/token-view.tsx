/** Asks for the read token when the server wants one. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { FormEvent, ReactNode } from "react";
import type { ApiError } from "../base/api.ts";
import { readToken, setReadToken } from "../base/token.ts";

export function TokenView({ error }: { readonly error: ApiError }): ReactNode {
	const queries = useQueryClient();
	const [text, setText] = useState("");
	// Known at the first drawing: a token that was sent and refused is a wrong one.
	const [refused, setRefused] = useState(readToken() !== undefined);
	useEffect(() => {
		document.title = "Read token · meshscope";
	}, []);
	const submit = (event: FormEvent): void => {
		event.preventDefault();
		if (text.trim() === "") return;
		setReadToken(text.trim());
		setRefused(true);
		void queries.resetQueries();
	};
	return (
		<div className="page">
			<form className="card token-form" onSubmit={submit}>
				<h1>This server wants a read token</h1>
				<p className="muted">
					It is what <code>--read-token</code> was given at start. It stays in this tab until you close it.
				</p>
				<label htmlFor="read-token">Read token</label>
				<input
					id="read-token"
					type="password"
					autoComplete="off"
					value={text}
					aria-invalid={refused}
					aria-describedby="token-problem"
					onChange={(event) => setText(event.target.value)}
				/>
				<p id="token-problem" className="filter-problem" role="alert">
					{refused ? `Refused: ${error.message}` : ""}
				</p>
				<button type="submit" className="primary">
					Continue
				</button>
			</form>
		</div>
	);
}

/**
 * What stands in a view's place when it throws: what happened, and ways to go on. The frame around it stays, so every other page
 * works; another address is another attempt.
 */
import { Component } from "react";
import type { ReactNode } from "react";
import { isChunkFailure } from "../base/chunk-failure.ts";
import { shorten } from "../base/format.ts";
import { CopyButton } from "./copy-button.tsx";
import { Notice } from "./notice.tsx";

interface ErrorBoundaryProps {
	/** A change of it tries again: the address of what is shown. */
	readonly at: string;
	/** What stands there instead; a whole page when it is not given. */
	readonly fallback?: ReactNode;
	/** Told of each failure, once what failed is gone. */
	readonly onFailure?: () => void;
	readonly children: ReactNode;
}

interface ErrorBoundaryState {
	readonly at: string;
	/** In an object: whatever is thrown is an error, undefined too. */
	readonly failure: { readonly error: unknown } | undefined;
}

/** React tells of errors to classes alone. */
export class ErrorBoundary extends Component<ErrorBoundaryProps, ErrorBoundaryState> {
	override state: ErrorBoundaryState = { at: this.props.at, failure: undefined };

	static getDerivedStateFromError(error: unknown): Partial<ErrorBoundaryState> {
		return { failure: { error } };
	}

	static getDerivedStateFromProps({ at }: ErrorBoundaryProps, state: ErrorBoundaryState): ErrorBoundaryState | null {
		return at === state.at ? null : { at, failure: undefined };
	}

	override componentDidCatch(): void {
		this.props.onFailure?.();
	}

	override render(): ReactNode {
		const { failure } = this.state;
		if (failure === undefined) return this.props.children;
		if (this.props.fallback !== undefined) return this.props.fallback;
		return <Stopped error={failure.error} onRetry={() => this.setState({ failure: undefined })} />;
	}
}

function Stopped({ error, onRetry }: { readonly error: unknown; readonly onRetry: () => void }): ReactNode {
	if (isChunkFailure(error)) {
		return (
			<div className="page">
				<h1>This page could not be read</h1>
				<ReloadNotice />
			</div>
		);
	}
	const { pathname, search } = window.location;
	return (
		<div className="page">
			<h1>This page stopped</h1>
			<div className="notice notice-error" role="alert">
				<div>
					<p>
						A fault of meshscope's page, not of your mesh. The other pages go on, and nothing that was stored is
						touched.
					</p>
					<p className="told mono stopped-error">{shorten(String(error), 500)}</p>
				</div>
			</div>
			<p className="stopped-actions">
				<button type="button" className="primary" onClick={onRetry}>
					Try again
				</button>
				{search !== "" && (
					// A whole load: the fault may lie in what the page holds.
					<a className="button-link" href={pathname}>
						Open it without its settings
					</a>
				)}
				<a className="button-link" href="/">
					Go to the graph
				</a>
				<CopyButton text={reportOf(error, pathname + search)} label="Copy a report of the fault" shown />
			</p>
		</div>
	);
}

/** What somebody who mends it needs. */
function reportOf(error: unknown, address: string): string {
	const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error);
	return `meshscope page ${address}\n${navigator.userAgent}\n${stack}\n`;
}

/** For code of the page that is not there. */
export function ReloadNotice(): ReactNode {
	return (
		<Notice tone="warn">
			The code of this page could not be read: the server is gone, or was upgraded since.{" "}
			<button type="button" onClick={() => window.location.reload()}>
				Reload
			</button>
		</Notice>
	);
}

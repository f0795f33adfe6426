/** How to point a sender at this server, and whether anything has come. It is also what the first page shows until then. */
import { useEffect } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import type { StatusAnswer } from "../../../api/contract/status.ts";
import { countOf } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import { readIngestAddress } from "../../data/ingest-address.ts";
import { useStatus } from "../../data/queries.ts";
import { CopyButton } from "../copy-button.tsx";
import { ErrorNotice } from "../notice.tsx";
import { snippets } from "./snippets.ts";
import type { Snippet } from "./snippets.ts";

export function SetupView(): ReactNode {
	const { path, params } = useLocation();
	const status = useStatus();
	useEffect(() => {
		document.title = "Setup · meshscope";
	}, []);
	if (status.data === undefined) {
		return (
			<div className="page">
				<h1>Setup</h1>
				{status.isError ? (
					<ErrorNotice error={status.error} what="The server's addresses could not be read." />
				) : (
					<p>Reading…</p>
				)}
			</div>
		);
	}
	const { addresses } = status.data;
	const grpc = readIngestAddress(addresses.otlpGrpc, window.location.hostname);
	const http = readIngestAddress(addresses.otlpHttp, window.location.hostname);
	const offered = snippets(grpc, http);
	const chosen = offered.find((snippet) => snippet.key === params.get("with")) ?? offered[0];
	return (
		<div className="page setup">
			<h1>Setup</h1>
			<Arrived status={status.data} lost={status.isError} />
			<p className="setup-intro">Point a proxy or a program here. Its first span shows within two seconds.</p>
			<dl className="endpoints">
				<Endpoint name="OTLP over gRPC" address={addresses.otlpGrpc} />
				<Endpoint name="OTLP over HTTP" address={addresses.otlpHttp} />
				<Endpoint name="Zipkin v2" address={addresses.zipkin} />
			</dl>
			{spansOf(status.data) === 0 && (
				<section className="card setup-demo" aria-labelledby="setup-demo-title">
					<h2 id="setup-demo-title">Nothing to connect yet?</h2>
					<p>
						Stop this server with <kbd>Ctrl-C</kbd> and start the demo in its place: a shop of thirteen small services
						behind our proxies, under load, with one service in plaintext, one slow and one flaky. It leaves nothing
						behind.
						{http !== undefined && (
							<>
								{" "}
								Or send <Link href={hrefWith(path, params, { with: "curl" })}>one span by hand</Link>.
							</>
						)}
					</p>
					<p className="setup-command">
						<code>npm run demo</code>
						<CopyButton text="npm run demo" label="Copy the command" />
					</p>
				</section>
			)}
			{chosen !== undefined && (
				<section className="card snippet">
					<div
						role="tablist"
						aria-label="Sender"
						className="tabs"
						onKeyDown={(event) =>
							moveTab(event, offered, chosen, (key) =>
								navigate(hrefWith(path, params, { with: key }), { replace: true }),
							)
						}
					>
						{offered.map((snippet) => (
							<button
								key={snippet.key}
								id={`tab-${snippet.key}`}
								type="button"
								role="tab"
								aria-selected={snippet === chosen}
								aria-controls="snippet-panel"
								tabIndex={snippet === chosen ? 0 : -1}
								onClick={() => navigate(hrefWith(path, params, { with: snippet.key }), { replace: true })}
							>
								{snippet.title}
							</button>
						))}
					</div>
					<div role="tabpanel" id="snippet-panel" aria-labelledby={`tab-${chosen.key}`}>
						<div className="snippet-intro">
							<p>{chosen.intro}</p>
							<CopyButton text={chosen.code} label="Copy the snippet" />
						</div>
						<pre tabIndex={0}>{chosen.code}</pre>
						{chosen.remote && isLoopback(grpc?.host) && (
							<p className="snippet-note muted">
								This server listens on loopback only. For senders elsewhere start it with an address that they
								reach and a token: <code>--otlp-grpc 0.0.0.0:{grpc?.port} --ingest-token …</code>
							</p>
						)}
					</div>
				</section>
			)}
		</div>
	);
}

function spansOf({ store, ingest }: StatusAnswer): number {
	return Math.max(store.spans, ingest.traces.acceptedRecords);
}

function Arrived({ status, lost }: { readonly status: StatusAnswer; readonly lost: boolean }): ReactNode {
	const spans = spansOf(status);
	if (lost) {
		return (
			<div className="notice notice-warn" role="status">
				<Icon name="alert" />
				<div>The server does not answer. Trying again every two seconds.</div>
			</div>
		);
	}
	if (spans > 0) {
		return (
			<div className="notice notice-good" role="status">
				<Icon name="check" />
				<div>
					<strong>Spans arrive.</strong> {countOf(spans, "span")} stored. <Link href="/">See the graph</Link> or{" "}
					<Link href="/traces">the traces</Link>.
				</div>
			</div>
		);
	}
	return (
		<div className="notice waiting" role="status">
			<span className="pulse" aria-hidden="true" />
			<div>
				<strong>Waiting for the first span.</strong> This page turns green when it arrives.
			</div>
		</div>
	);
}

function Endpoint({ name, address }: { readonly name: string; readonly address: string | undefined }): ReactNode {
	return (
		<div className="endpoint card">
			<dt>{name}</dt>
			<dd>{address === undefined ? <span className="muted">off</span> : <span className="mono">{address}</span>}</dd>
		</div>
	);
}

function isLoopback(host: string | undefined): boolean {
	return host !== undefined && (host.startsWith("127.") || host === "localhost" || host === "[::1]");
}

function moveTab(event: KeyboardEvent, offered: readonly Snippet[], chosen: Snippet, choose: (key: string) => void): void {
	const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
	if (step === 0) return;
	event.preventDefault();
	const next = offered[(offered.indexOf(chosen) + step + offered.length) % offered.length]!;
	choose(next.key);
	document.getElementById(`tab-${next.key}`)?.focus();
}

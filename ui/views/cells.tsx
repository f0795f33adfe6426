/** Cells that the tables of several views share: names of senders, edges, moments, expiries, traces. */
import { Fragment } from "react";
import type { ReactNode } from "react";
import { formatSpanOfTime, formatUtcMs, shorten } from "../base/format.ts";
import { Icon } from "../base/icons.tsx";
import { Link } from "../base/link.tsx";
import { traceHref } from "../base/router.ts";
import { EXPIRY_WORDS, expiryOf } from "../data/expiry.ts";
import { MTLS_WORDS } from "../data/mtls-words.ts";
import type { MtlsStatus } from "../data/mtls-words.ts";

/** A sender's text: never markup, never reordering what stands beside it. */
export function Name({ text, none = "none" }: { readonly text: string; readonly none?: string }): ReactNode {
	return text === "" ? <span className="muted">{none}</span> : <bdi className="told">{shorten(text)}</bdi>;
}

export function Names({ texts, none }: { readonly texts: readonly string[]; readonly none?: string }): ReactNode {
	if (texts.length === 0) return <span className="muted">{none ?? "none"}</span>;
	return (
		<ul className="names">
			{texts.slice(0, SHOWN_NAMES).map((text) => (
				<li key={text}>
					<Name text={text} />
				</li>
			))}
			{texts.length > SHOWN_NAMES && <li className="muted">and {texts.length - SHOWN_NAMES} more, in the exports</li>}
		</ul>
	);
}

/** A service may have an identity an instance. */
const SHOWN_NAMES = 5;

/** A status by shape and word: a closed lock, an open one, a half-filled ring for what is both, a dashed one for what is not known. */
export function MtlsState({ status }: { readonly status: MtlsStatus }): ReactNode {
	return (
		<span className={`status-cell mtls-cell-${status}`}>
			<MtlsSign status={status} />
			{MTLS_WORDS[status]}
		</span>
	);
}

/** The shape alone, for where the word stands elsewhere; its colour is that of the `mtls-cell-` around it. */
export function MtlsSign({ status }: { readonly status: MtlsStatus }): ReactNode {
	const icon = LOCKS[status];
	return icon === undefined ? <span className={`mtls-mark mtls-${status}`} aria-hidden="true" /> : <Icon name={icon} />;
}

const LOCKS: Readonly<Partial<Record<MtlsStatus, "lock" | "unlock">>> = {
	mutual_tls: "lock",
	plaintext: "unlock",
	none: "unlock",
};

/** `3m 12s ago`, with the moment itself beneath the pointer and for readers of the export. */
export function Seen({ at, nowMs }: { readonly at: string | undefined; readonly nowMs: number }): ReactNode {
	if (at === undefined) return <span className="muted">not known</span>;
	return (
		<time className="seen" dateTime={at}>
			<DateAndTime ms={Date.parse(at)} />
			<span className="muted">{agoText(Date.parse(at), nowMs)}</span>
		</time>
	);
}

/** In two lines where a table has little room, and never broken within a date. */
function DateAndTime({ ms }: { readonly ms: number }): ReactNode {
	return formatUtcMs(ms)
		.split(" ")
		.map((word) => (
			<Fragment key={word}>
				<span className="unbroken">{word}</span>{" "}
			</Fragment>
		));
}

/** `3m 12s ago`. */
export function agoText(ms: number, nowMs: number): string {
	const seconds = (nowMs - ms) / 1_000;
	return seconds < 1 ? "just now" : `${formatSpanOfTime(seconds)} ago`;
}

interface ExpiryProps {
	readonly notAfter: string;
	readonly notBefore?: string;
	readonly nowMs: number;
}

export function Expiry({ notAfter, notBefore, nowMs }: ExpiryProps): ReactNode {
	const untilMs = Date.parse(notAfter);
	const state = expiryOf(untilMs, notBefore === undefined ? undefined : Date.parse(notBefore), nowMs);
	return (
		<time className="seen" dateTime={notAfter}>
			<DateAndTime ms={untilMs} />
			<span className={`expiry expiry-${state}`}>
				{state !== "far" && <Icon name="alert" />}
				{EXPIRY_WORDS[state]}
				{state === "expired"
					? `, ${agoText(untilMs, nowMs)}`
					: `${state === "near" ? ", " : ""}in ${formatSpanOfTime((untilMs - nowMs) / 1_000)}`}
			</span>
		</time>
	);
}

interface SamplesProps {
	readonly samples: readonly { readonly traceId: string; readonly time: string }[];
	/** A search for more of them. */
	readonly more: string;
	/** The edge in the graph. */
	readonly edge: string;
	/** Further ways, in the same line. */
	readonly children?: ReactNode;
}

export function Samples({ samples, more, edge, children }: SamplesProps): ReactNode {
	return (
		<span className="samples">
			{samples.slice(0, 3).map((sample) => (
				<Link key={sample.traceId} className="mono" href={traceHref(sample.traceId)} title={`Trace ${sample.traceId}`}>
					{sample.traceId.slice(0, 8)}
				</Link>
			))}
			<Link href={more}>{samples.length === 0 ? "Search traces" : "More"}</Link>
			<Link href={edge}>Edge</Link>
			{children}
		</span>
	);
}

/** What a row shows of the call that begins there: both ends, its lock, its tries, and its time told apart. */
import type { ReactNode } from "react";
import { countOf, formatDuration, serviceLabel, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { edgeHref } from "../../base/router.ts";
import { MTLS_WORDS } from "../../data/mtls-words.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { callParts } from "../../layout/trace/call-parts.ts";
import type { CallPart } from "../../layout/trace/call-parts.ts";
import type { TracedCall } from "../../layout/trace/calls.ts";
import { barOf } from "../../layout/timeline.ts";
import type { Viewport } from "../../layout/timeline.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { MtlsSign } from "../cells.tsx";
import { around } from "./around.ts";

interface CallProps {
	/** The whole one, which the rows of the call are of. */
	readonly waterfall: Waterfall;
	readonly call: TracedCall;
}

/** As the spans call the two ends, else as the graph does. */
export function endsOf(waterfall: Waterfall, { hop, callerRow, calleeRow }: TracedCall): readonly [string, string] {
	const name = (row: number | undefined, id: string): string =>
		serviceLabel(row === undefined ? serviceOfNode(id) : waterfall.services[waterfall.service[row]!]!);
	return [name(callerRow, hop.source), name(calleeRow, hop.target)];
}

export function CallName({ waterfall, call, operation }: CallProps & { readonly operation: string }): ReactNode {
	const [caller, callee] = endsOf(waterfall, call);
	return (
		<span className="one-line" title={`${caller} → ${callee} ${shorten(operation)}`}>
			<bdi className="span-service call-less">{caller}</bdi> → <bdi className="span-service">{callee}</bdi>{" "}
			<bdi className="span-operation">{shorten(operation)}</bdi>
		</span>
	);
}

interface CallLockProps {
	readonly call: TracedCall;
	readonly startNano: string | number | undefined;
}

/** Out of the way of Tab, as all of a row: the details have the same link. */
export function CallLock({ call, startNano }: CallLockProps): ReactNode {
	const { status } = call.hop.mtls;
	const range = around(startNano);
	const sign = (
		<>
			<MtlsSign status={status} />
			<span className="hidden-label">{MTLS_WORDS[status]}</span>
		</>
	);
	const className = `call-lock status-cell mtls-cell-${status}`;
	if (range === undefined) {
		return (
			<span className={className} title={MTLS_WORDS[status]}>
				{sign}
			</span>
		);
	}
	return (
		<Link
			className={className}
			href={edgeHref(call.hop.edgeId, range)}
			tabIndex={-1}
			title={`${MTLS_WORDS[status]}: the edge in the graph`}
		>
			{sign}
		</Link>
	);
}

export function Tries({ waterfall, call }: CallProps): ReactNode {
	const { failedTries } = callParts(waterfall, call);
	return (
		<span className="call-tries">
			{countOf(call.hop.attempts, "attempt")}
			{failedTries > 0 && `, ${failedTries} failed`}
		</span>
	);
}

/** `app 12 ms, proxies and network 1.2 ms`. */
export function partsText(waterfall: Waterfall, call: TracedCall): string {
	const { calleeNs, proxyNs } = callParts(waterfall, call);
	return [
		...(call.callees.length === 0 ? [] : [`${call.isAppKnown ? "app" : "callee"} ${formatDuration(calleeNs)}`]),
		...(call.proxies.length === 0 ? [] : [`proxies and network ${formatDuration(proxyNs)}`]),
	].join(", ");
}

const PART_CLASSES: Readonly<Record<CallPart["kind"], string>> = {
	proxy: "call-part call-part-proxy",
	callee: "call-part",
	"failed-try": "call-part call-part-failed",
};

interface CallBarProps extends CallProps {
	readonly view: Viewport;
	readonly failed: boolean;
}

/** The parts of the bar, each where its span stands. */
export function CallBar({ waterfall, call, view, failed }: CallBarProps): ReactNode {
	return callParts(waterfall, call).parts.map(({ kind, fromNs, toNs }) => {
		const bar = barOf(view, fromNs, toNs - fromNs);
		return (
			bar !== undefined && (
				<span
					key={`${kind} ${fromNs}`}
					className={`${PART_CLASSES[kind]}${failed && kind === "callee" ? " call-part-failed" : ""}`}
					style={{ insetInlineStart: `${bar.left}%`, inlineSize: `${bar.width}%` }}
				/>
			)
		);
	});
}

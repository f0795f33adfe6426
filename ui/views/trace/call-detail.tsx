/** The call that a span belongs to: its two ends, how it was secured, where its time went, and every span of it. */
import type { ReactNode } from "react";
import { formatDuration, serviceLabel, shorten } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { SPAN_KINDS } from "../../base/otlp.ts";
import { edgeHref } from "../../base/router.ts";
import { VERIFIED_WORDS } from "../../data/mtls-words.ts";
import type { TracedCall } from "../../layout/trace/calls.ts";
import type { Waterfall } from "../../layout/waterfall.ts";
import { MtlsState } from "../cells.tsx";
import { around } from "./around.ts";
import { endsOf, partsText, Tries } from "./call-cells.tsx";

interface CallDetailProps {
	readonly waterfall: Waterfall;
	readonly call: TracedCall;
	/** The one whose details are shown. */
	readonly row: number;
	readonly onGoTo: (row: number) => void;
}

export function CallDetail({ waterfall, call, row, onGoTo }: CallDetailProps): ReactNode {
	const { hop, rows } = call;
	const [caller, callee] = endsOf(waterfall, call);
	const range = around(waterfall.spans[rows[0]!]!.startTimeUnixNano);
	const parts = partsText(waterfall, call);
	return (
		<details open>
			<summary className="told">
				Call <bdi>{caller}</bdi> → <bdi>{callee}</bdi>
			</summary>
			<dl className="detail-facts">
				<dt>Secured by</dt>
				<dd>
					<MtlsState status={hop.mtls.status} />{" "}
					<span className="muted">vouched for by {VERIFIED_WORDS[hop.mtls.verifiedBy]}</span>
				</dd>
				{parts !== "" && (
					<>
						<dt>Time</dt>
						<dd>{parts}</dd>
					</>
				)}
				{hop.attempts > 1 && (
					<>
						<dt>Tries</dt>
						<dd>
							<Tries waterfall={waterfall} call={call} />
						</dd>
					</>
				)}
				{range !== undefined && (
					<>
						<dt>Graph</dt>
						<dd>
							<Link href={edgeHref(hop.edgeId, range)}>The edge at that time</Link>
						</dd>
					</>
				)}
			</dl>
			{rows.length > 1 && (
				<ul className="call-spans" aria-label="Spans of the call">
					{rows.map((at) => (
						<li key={at}>
							<button type="button" className="quiet small" aria-current={at === row} onClick={() => onGoTo(at)}>
								<bdi>{serviceLabel(waterfall.services[waterfall.service[at]!]!)}</bdi>{" "}
								<bdi>{shorten(waterfall.spans[at]!.name ?? "", 80)}</bdi>
							</button>
							<span className="muted">
								{SPAN_KINDS[waterfall.spans[at]!.kind ?? 0] ?? ""}
								{call.proxies.includes(at) && ", proxy"}
								{call.earlier.has(at) && ", earlier try"}, {formatDuration(waterfall.lengthNs[at]!)}
							</span>
							{waterfall.failed[at] === 1 && <span className="span-failed">error</span>}
						</li>
					))}
				</ul>
			)}
		</details>
	);
}

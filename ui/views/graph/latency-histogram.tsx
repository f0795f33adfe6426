/** How many requests took how long. A bar opens traces that show it; the bars are a list, so they are their own table. */
import { useState } from "react";
import type { ReactNode } from "react";
import type { EdgeAnswer } from "../../../api/contract/topology.ts";
import { countOf } from "../../base/format.ts";
import { Link } from "../../base/link.tsx";
import { traceHref } from "../../base/router.ts";
import { msText } from "../../data/graph-words.ts";

type Bucket = EdgeAnswer["histogram"][number];

/** Buckets of the store are 2 % wide: so many bars would be hairs. */
const MAX_BARS = 24;

interface Bar extends Bucket {
	/** Bounds of the buckets in it, which those of the bar as it is drawn only come near. */
	readonly aboveMs: number;
	readonly upToMs: number;
}

interface LatencyHistogramProps {
	readonly buckets: readonly Bucket[];
	/** The search for the traces of a bar. */
	readonly hrefOf: (bar: Pick<Bar, "aboveMs" | "upToMs">) => string;
}

export function LatencyHistogram({ buckets, hrefOf }: LatencyHistogramProps): ReactNode {
	const [chosen, setChosen] = useState<number>();
	const bars = merged(buckets);
	if (bars.length === 0) return undefined;
	const most = Math.max(...bars.map(({ count }) => count));
	const bar = chosen === undefined ? undefined : bars[chosen];
	return (
		<div className="histogram">
			<h4>How long requests took</h4>
			<ol className="histogram-bars">
				{bars.map((each, index) => (
					<li key={each.fromMs}>
						<button
							type="button"
							aria-pressed={index === chosen}
							aria-label={`${rangeText(each)}: ${countOf(each.count, "request")}, ${countOf(each.exemplars.length, "example trace")}`}
							title={`${rangeText(each)}: ${countOf(each.count, "request")}`}
							onClick={() => setChosen(index === chosen ? undefined : index)}
						>
							<span
								className={each.exemplars.length === 0 ? "histogram-bar" : "histogram-bar histogram-bar-traced"}
								style={{ height: `${Math.max(3, (100 * each.count) / most)}%` }}
							/>
						</button>
					</li>
				))}
			</ol>
			<p className="histogram-ends muted">
				<span>{msText(bars[0]!.fromMs)}</span>
				<span>{msText(bars.at(-1)!.toMs)}</span>
			</p>
			{bar === undefined ? (
				<p className="muted">Choose a bar to see traces that took so long.</p>
			) : (
				<Exemplars bar={bar} href={hrefOf(bar)} />
			)}
		</div>
	);
}

function Exemplars({ bar, href }: { readonly bar: Bar; readonly href: string }): ReactNode {
	return (
		<div role="status">
			<p>
				{rangeText({ fromMs: bar.aboveMs, toMs: bar.upToMs })}: {countOf(bar.count, "request")}.{" "}
				{bar.count > 0 && <Link href={href}>Find their traces</Link>}
			</p>
			<ul className="panel-edges">
				{bar.exemplars.map((sample) => (
					<li key={sample.traceId}>
						<Link className={sample.isError ? "mono failed" : "mono"} href={traceHref(sample.traceId)}>
							{sample.traceId.slice(0, 16)}…
						</Link>{" "}
						<span className="muted">
							{msText(sample.durationMs)}
							{sample.isError && ", failed"}
						</span>
					</li>
				))}
			</ul>
		</div>
	);
}

function rangeText({ fromMs, toMs }: Pick<Bucket, "fromMs" | "toMs">): string {
	return `${msText(fromMs)} to ${msText(toMs)}`;
}

/** At most `MAX_BARS` bars of equal width on a logarithmic scale, empty ones between included. */
function merged(buckets: readonly Bucket[]): readonly Bar[] {
	const filled = buckets.filter(({ count }) => count > 0);
	const [first, last] = [filled[0], filled.at(-1)];
	if (first === undefined || last === undefined) return [];
	if (filled.length === 1) return [{ ...first, aboveMs: first.fromMs, upToMs: first.toMs }];
	const start = Math.max(first.fromMs, 1e-6);
	const ratio = (last.toMs / start) ** (1 / Math.min(MAX_BARS, filled.length));
	const bars = Array.from({ length: Math.min(MAX_BARS, filled.length) }, (_, i) => ({
		fromMs: start * ratio ** i,
		toMs: start * ratio ** (i + 1),
		...{ aboveMs: Infinity, upToMs: 0, count: 0 },
		exemplars: [] as Bucket["exemplars"][number][],
	}));
	for (const { fromMs, toMs, count, exemplars } of filled) {
		const middle = Math.sqrt(Math.max(fromMs, start) * toMs);
		const bar = bars[Math.min(bars.length - 1, Math.max(0, Math.floor(Math.log(middle / start) / Math.log(ratio))))]!;
		bar.count += count;
		bar.aboveMs = Math.min(bar.aboveMs, fromMs);
		bar.upToMs = Math.max(bar.upToMs, toMs);
		bar.exemplars.push(...exemplars);
	}
	return bars.map((bar) => ({ ...bar, exemplars: bar.exemplars.slice(0, 8) }));
}

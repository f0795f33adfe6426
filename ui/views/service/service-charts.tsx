/** Rate, errors and duration both ways: the figures of the range, and their course. */
import type { ReactNode } from "react";
import type { ServiceHistoryAnswer, ServiceTrafficAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { countOf, formatBytes, formatCount, formatRate } from "../../base/format.ts";
import { everyStep, percentTop } from "../../data/chart-series.ts";
import { errorsText, msText } from "../../data/graph-words.ts";
import { MTLS_WORDS } from "../../data/mtls-words.ts";
import { momentLinks } from "../chart/moment-links.ts";
import { TimeChart } from "../chart/time-chart.tsx";

interface ServiceChartsProps {
	readonly traffic: ServiceTrafficAnswer;
	readonly history: ServiceHistoryAnswer;
}

type Red = ServiceTrafficAnswer["inbound"];

const WAYS = [
	["inbound", "Received", "What callers of this service felt"],
	["outbound", "Sent", "What this service felt of those it calls"],
] as const;

export function ServiceCharts({ traffic, history }: ServiceChartsProps): ReactNode {
	const { timesMs, points } = everyStep(history);
	const common = { timesMs, stepMs: history.stepMs, links: momentLinks(history) };
	return WAYS.map(([way, title, note]) => {
		const red = traffic[way];
		if (red.requests + red.connections === 0) return undefined;
		const errors = points.map((point) => 100 * (point?.[way].errorRatio ?? 0));
		const course = <T,>(read: (point: (typeof points)[number]) => T): T[] => points.map(read);
		return (
			<section key={way} className="service-way" aria-labelledby={`${way}-title`}>
				<h2 id={`${way}-title`}>
					{title} <span className="muted">{note}</span>
				</h2>
				<Figures red={red} />
				{red.requests > 0 && (
					<div className="charts">
						<TimeChart
							name={`${way}-rate`}
							title={`${title}: rate`}
							series={[
								{
									key: "rate",
									title: "Requests a second",
									values: course((point) => point?.[way].requestRate ?? 0),
								},
							]}
							format={(value) => `${formatRate(value)}/s`}
							{...common}
						/>
						<TimeChart
							name={`${way}-errors`}
							title={`${title}: errors`}
							series={[
								{
									key: "errors",
									title: "Failed, of all requests",
									values: errors,
								},
							]}
							format={formatPercent}
							most={percentTop(errors)}
							{...common}
						/>
						<TimeChart
							name={`${way}-latency`}
							title={`${title}: latency`}
							series={(["p50", "p95", "p99"] as const).map((of) => ({
								key: `${of}_ms`,
								title: of,
								values: course((point) => point?.[way].latencyMs?.[of]),
							}))}
							format={(ms) => (ms === 0 ? "0" : msText(ms))}
							{...common}
						/>
					</div>
				)}
			</section>
		);
	});
}

function Figures({ red }: { readonly red: Red }): ReactNode {
	const { latencyMs, mtls } = red;
	return (
		<dl className="facts service-facts">
			{red.requests > 0 && (
				<>
					<Fact name="Rate" value={`${red.sampled ? "~" : ""}${formatRate(red.requestRate)}/s`}>
						{countOf(Math.round(red.requests), "request")}
					</Fact>
					<Fact name="Errors" value={errorsText(red)} isBad={red.errors > 0}>
						{formatCount(Math.round(red.errors))} failed
					</Fact>
					<Fact name="p95" value={msText(latencyMs?.p95)}>
						p50 {msText(latencyMs?.p50)}, p99 {msText(latencyMs?.p99)}
					</Fact>
					<Fact name="mTLS" value={mtls.percent === undefined ? "not known" : formatPercent(mtls.percent)}>
						{MTLS_WORDS[mtls.status]}
					</Fact>
				</>
			)}
			{red.connections > 0 && (
				<Fact name="TCP connections" value={formatCount(Math.round(red.connections))} isBad={red.connectionErrors > 0}>
					{formatCount(Math.round(red.connectionErrors))} failed
				</Fact>
			)}
			<Fact name="Bytes" value={formatBytes(red.bytes.sent + red.bytes.received)}>
				{formatBytes(red.bytes.sent)} there, {formatBytes(red.bytes.received)} back
			</Fact>
		</dl>
	);
}

interface FactProps {
	readonly name: string;
	readonly value: string;
	readonly isBad?: boolean;
	readonly children: ReactNode;
}

function Fact({ name, value, isBad, children }: FactProps): ReactNode {
	return (
		<div className="fact card">
			<dt>{name}</dt>
			<dd className={isBad === true ? "fact-value failed" : "fact-value"}>{value}</dd>
			<dd className="fact-more muted">{children}</dd>
		</div>
	);
}

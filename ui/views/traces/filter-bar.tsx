/** Filters of the trace list. Each is in the address: choosing one navigates, so back undoes it. */
import { useState } from "react";
import type { FormEvent, ReactNode } from "react";
import { shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { edgeHref, hrefWith, navigate } from "../../base/router.ts";
import { rangeQuery } from "../../data/graph-settings.ts";
import { serviceOfNode } from "../../data/node-name.ts";
import { useEdge, useOperations, useServices } from "../../data/queries.ts";
import { MTLS_WORDS } from "../../data/mtls-words.ts";
import { attributeProblem, durationProblem } from "../../data/trace-filter.ts";
import type { TraceFilter } from "../../data/trace-filter.ts";
import { Labelled, RangeFields, TextFilter } from "../fields.tsx";
import type { Change } from "../fields.tsx";

interface FilterBarProps {
	readonly params: URLSearchParams;
	readonly filter: TraceFilter;
}

export function FilterBar({ params, filter }: FilterBarProps): ReactNode {
	const services = useServices();
	const operations = useOperations(filter.service);
	const apply = (change: Change): void => navigate(hrefWith("/traces", params, { limit: undefined, ...change }));
	const serviceNames = withChosen(
		services.data?.services.map((service) => service.name),
		filter.service,
	);
	const operationNames = [...new Set(operations.data?.operations.map((operation) => operation.name))];
	return (
		<section className="filters" aria-label="Filters">
			<RangeFields from={filter.from} to={filter.to} onApply={apply} />
			<Labelled label="Service">
				{(id) => (
					<select
						id={id}
						value={filter.service}
						onChange={(event) => apply({ service: event.target.value, operation: undefined })}
					>
						<option value="">All services</option>
						{serviceNames.map((name) => (
							<option key={name} value={name}>
								{shorten(name, 80)}
							</option>
						))}
					</select>
				)}
			</Labelled>
			<TextFilter
				label="Operation"
				placeholder={filter.service === "" ? "exact name" : "any"}
				value={filter.operation}
				suggestions={operationNames}
				onApply={(operation) => apply({ operation })}
			/>
			<Labelled label="Status">
				{(id) => (
					<select id={id} value={filter.status} onChange={(event) => apply({ status: event.target.value })}>
						<option value="">Any status</option>
						<option value="error">Error</option>
						<option value="ok">Ok</option>
						<option value="unset">Unset</option>
					</select>
				)}
			</Labelled>
			<Labelled label="Encryption of a hop">
				{(id) => (
					<select id={id} value={filter.mtls} onChange={(event) => apply({ mtls: event.target.value })}>
						<option value="">Any</option>
						{Object.entries(MTLS_WORDS).map(([status, word]) => (
							<option key={status} value={status}>
								{word}
							</option>
						))}
					</select>
				)}
			</Labelled>
			<TextFilter
				label="Min duration"
				placeholder="250ms"
				value={filter.minDuration}
				check={durationProblem}
				onApply={(minDuration) => apply({ minDuration })}
			/>
			<TextFilter
				label="Max duration"
				placeholder="2s"
				value={filter.maxDuration}
				check={durationProblem}
				onApply={(maxDuration) => apply({ maxDuration })}
			/>
			{filter.edge !== "" && <EdgeFilter filter={filter} onRemove={() => apply({ edge: undefined, side: undefined })} />}
			<AttributeFilter filter={filter} onApply={(attr) => apply({ attr })} />
		</section>
	);
}

/** Chosen in the graph, so there is nothing to type: what it is, a way back to it, and a way out. */
function EdgeFilter({ filter, onRemove }: { readonly filter: TraceFilter; readonly onRemove: () => void }): ReactNode {
	const { edge, from, to, side } = filter;
	const found = useEdge(edge, rangeQuery({ from, to }), false).data?.edge;
	const name = found === undefined ? edge : `${serviceOfNode(found.source)} → ${serviceOfNode(found.target)}`;
	const measured = side === "source" ? ", as the caller measured" : side === "destination" ? ", as the callee measured" : "";
	return (
		<div className="filter filter-edge">
			<span className="filter-label">Edge of the graph{measured}</span>
			<span className="chip">
				<Link className="one-line" href={edgeHref(edge, { from, to })}>
					<bdi>{shorten(name, 80)}</bdi>
				</Link>
				<button type="button" className="quiet" aria-label="Remove the edge" onClick={onRemove}>
					<Icon name="close" />
				</button>
			</span>
		</div>
	);
}

/** The chosen one stays on offer when the server does not know it (any more). */
function withChosen(names: readonly string[] | undefined, chosen: string): readonly string[] {
	const known = (names ?? []).filter((name) => name !== "");
	return chosen === "" || known.includes(chosen) ? known : [chosen, ...known];
}

function AttributeFilter(props: {
	readonly filter: TraceFilter;
	readonly onApply: (attributes: readonly string[]) => void;
}): ReactNode {
	const { filter, onApply } = props;
	const [draft, setDraft] = useState("");
	const problem = draft === "" ? undefined : attributeProblem(draft.trim());
	const [touched, setTouched] = useState(false);
	const add = (event: FormEvent): void => {
		event.preventDefault();
		setTouched(true);
		const text = draft.trim();
		if (text === "" || problem !== undefined) return;
		if (!filter.attributes.includes(text)) onApply([...filter.attributes, text]);
		setDraft("");
		setTouched(false);
	};
	return (
		<form className="filter filter-attributes" onSubmit={add}>
			<label htmlFor="attribute-filter">Attribute</label>
			<input
				id="attribute-filter"
				type="text"
				value={draft}
				placeholder="key=value, then Enter"
				autoComplete="off"
				spellCheck={false}
				aria-invalid={touched && problem !== undefined}
				aria-describedby={touched && problem !== undefined ? "attribute-problem" : undefined}
				onChange={(event) => setDraft(event.target.value)}
			/>
			{touched && problem !== undefined && (
				<p className="filter-problem" id="attribute-problem">
					{problem}
				</p>
			)}
			{filter.attributes.length > 0 && (
				<ul className="chips" aria-label="Attribute filters">
					{filter.attributes.map((attribute) => (
						<li key={attribute} className="chip">
							<bdi className="mono one-line">{shorten(attribute, 80)}</bdi>
							<button
								type="button"
								className="quiet"
								aria-label={`Remove ${shorten(attribute, 80)}`}
								onClick={() => onApply(filter.attributes.filter((other) => other !== attribute))}
							>
								<Icon name="close" />
							</button>
						</li>
					))}
				</ul>
			)}
		</form>
	);
}

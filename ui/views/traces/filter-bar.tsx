/** Filters of the trace list. Each is in the address: choosing one navigates, so back undoes it. */
import { useEffect, useId, useState } from "react";
import type { FormEvent, ReactNode } from "react";
import { shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { hrefWith, navigate } from "../../base/router.ts";
import { MTLS_WORDS } from "../../data/graph-words.ts";
import type { MtlsStatus } from "../../data/graph-words.ts";
import { useOperations, useServices } from "../../data/queries.ts";
import { attributeProblem, durationProblem, momentProblem, RANGES } from "../../data/trace-filter.ts";
import type { TraceFilter } from "../../data/trace-filter.ts";

interface FilterBarProps {
	readonly params: URLSearchParams;
	readonly filter: TraceFilter;
}

type Change = Readonly<Record<string, string | readonly string[] | undefined>>;

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
			<RangeFilter filter={filter} onApply={apply} />
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
				placeholder={filter.service === "" ? "any, exact name" : "any"}
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
			<Labelled label="mTLS">
				{(id) => (
					<select id={id} value={filter.mtls} onChange={(event) => apply({ mtls: event.target.value })}>
						<option value="">Any</option>
						{(Object.keys(MTLS_WORDS) as MtlsStatus[]).map((status) => (
							<option key={status} value={status}>
								{MTLS_WORDS[status]}
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
			<AttributeFilter filter={filter} onApply={(attr) => apply({ attr })} />
		</section>
	);
}

/** The chosen one stays on offer when the server does not know it (any more). */
function withChosen(names: readonly string[] | undefined, chosen: string): readonly string[] {
	const known = (names ?? []).filter((name) => name !== "");
	return chosen === "" || known.includes(chosen) ? known : [chosen, ...known];
}

interface LabelledProps {
	readonly label: string;
	readonly children: (id: string) => ReactNode;
}

function Labelled({ label, children }: LabelledProps): ReactNode {
	const id = useId();
	return (
		<div className="filter">
			<label htmlFor={id}>{label}</label>
			{children(id)}
		</div>
	);
}

interface TextFilterProps {
	readonly label: string;
	readonly placeholder: string;
	readonly value: string;
	readonly suggestions?: readonly string[];
	/** Says what is wrong with a text, or undefined. */
	readonly check?: (text: string) => string | undefined;
	readonly onApply: (text: string) => void;
}

/** A text that is applied on Enter or when it is left, not on every key. */
function TextFilter({ label, placeholder, value, suggestions, check, onApply }: TextFilterProps): ReactNode {
	const [draft, setDraft] = useState(value);
	const listId = useId();
	useEffect(() => setDraft(value), [value]);
	const problem = check?.(draft.trim());
	const commit = (): void => {
		if (problem === undefined && draft.trim() !== value) onApply(draft.trim());
	};
	return (
		<Labelled label={label}>
			{(id) => (
				<>
					<input
						id={id}
						type="text"
						value={draft}
						placeholder={placeholder}
						autoComplete="off"
						spellCheck={false}
						aria-invalid={problem !== undefined}
						aria-describedby={problem === undefined ? undefined : `${id}-problem`}
						list={suggestions === undefined ? undefined : listId}
						onChange={(event) => {
							setDraft(event.target.value);
							// A pick from the list is a whole answer; a typed text is one only at Enter.
							if (suggestions?.includes(event.target.value) === true && !("data" in event.nativeEvent))
								onApply(event.target.value);
						}}
						onBlur={commit}
						onKeyDown={(event) => {
							if (event.key === "Enter") commit();
							if (event.key === "Escape") setDraft(value);
						}}
					/>
					{problem !== undefined && (
						<p className="filter-problem" id={`${id}-problem`}>
							{problem}
						</p>
					)}
					{suggestions !== undefined && (
						<datalist id={listId}>
							{suggestions.map((name) => (
								<option key={name} value={name}>
									{shorten(name, 80)}
								</option>
							))}
						</datalist>
					)}
				</>
			)}
		</Labelled>
	);
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

function RangeFilter({
	filter,
	onApply,
}: {
	readonly filter: TraceFilter;
	readonly onApply: (change: Change) => void;
}): ReactNode {
	const offered = filter.to === "" && RANGES.some((range) => range.from === filter.from);
	const [open, setOpen] = useState(false);
	const custom = open || !offered;
	return (
		<>
			<Labelled label="Time">
				{(id) => (
					<select
						id={id}
						value={custom ? "custom" : filter.from}
						onChange={(event) => {
							setOpen(event.target.value === "custom");
							if (event.target.value !== "custom") onApply({ from: event.target.value, to: undefined });
						}}
					>
						{RANGES.map((range) => (
							<option key={range.from} value={range.from}>
								{range.label}
							</option>
						))}
						<option value="custom">From … to …</option>
					</select>
				)}
			</Labelled>
			{custom && (
				<>
					<TextFilter
						label="From"
						placeholder="now-2h"
						value={filter.from}
						check={momentProblem}
						onApply={(from) => onApply({ from })}
					/>
					<TextFilter
						label="To"
						placeholder="now"
						value={filter.to}
						check={momentProblem}
						onApply={(to) => onApply({ to })}
					/>
				</>
			)}
		</>
	);
}

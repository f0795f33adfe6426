/** Fields that several views have above their answers: each is a setting in the address, applied when it is a whole answer. */
import { useEffect, useId, useState } from "react";
import type { ReactNode } from "react";
import { shorten } from "../base/format.ts";
import { momentProblem, RANGES } from "../data/trace-filter.ts";

/** Changes to the query string, as `hrefWith` takes them. */
export type Change = Readonly<Record<string, string | readonly string[] | undefined>>;

interface LabelledProps {
	readonly label: string;
	readonly children: (id: string) => ReactNode;
}

export function Labelled({ label, children }: LabelledProps): ReactNode {
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
export function TextFilter({ label, placeholder, value, suggestions, check, onApply }: TextFilterProps): ReactNode {
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

interface RangeFieldsProps {
	readonly from: string;
	/** Empty for now. */
	readonly to: string;
	/** A scrubber on the page says which past window it is: boxes that come and go with it would move what is below. */
	readonly isToldBelow?: boolean;
	readonly onApply: (change: Change) => void;
}

export function RangeFields({ from, to, isToldBelow = false, onApply }: RangeFieldsProps): ReactNode {
	const offered = to === "" && RANGES.some((range) => range.from === from);
	const [open, setOpen] = useState(false);
	const past = isToldBelow && !open && !offered;
	const custom = !past && (open || !offered);
	return (
		<>
			<Labelled label="Time">
				{(id) => (
					<select
						id={id}
						value={custom ? "custom" : past ? "history" : from}
						onChange={(event) => {
							setOpen(event.target.value === "custom");
							if (event.target.value !== "custom") onApply({ from: event.target.value, to: undefined });
						}}
					>
						{past && (
							<option value="history">
								{to === "" && from.startsWith("now-") ? `Last ${from.slice(4)}` : "From history"}
							</option>
						)}
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
						value={from}
						check={momentProblem}
						onApply={(text) => onApply({ from: text })}
					/>
					<TextFilter
						label="To"
						placeholder="now"
						value={to}
						check={momentProblem}
						onApply={(text) => onApply({ to: text })}
					/>
				</>
			)}
		</>
	);
}

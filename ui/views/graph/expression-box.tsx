/**
 * The find and the hide box: a text with completion, as a combobox. It is applied on Enter or when it is left, and only when nothing is
 * wrong with it; what is wrong is shown at its character.
 */
import { useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";
import { shorten } from "../../base/format.ts";
import { completionsAt, taken } from "../../data/graph-completion.ts";
import type { Completion, Vocabulary } from "../../data/graph-completion.ts";
import { parseExpression } from "../../data/graph-expression.ts";

interface ExpressionBoxProps {
	readonly label: "Find" | "Hide";
	readonly value: string;
	readonly vocabulary: Vocabulary;
	readonly onApply: (text: string) => void;
}

export function ExpressionBox({ label, value, vocabulary, onApply }: ExpressionBoxProps): ReactNode {
	const [draft, setDraft] = useState(value);
	const [caret, setCaret] = useState(value.length);
	const [isOpen, setOpen] = useState(false);
	const [active, setActive] = useState(-1);
	const input = useRef<HTMLInputElement>(null);
	/** Where the caret belongs once the new text is in the box. */
	const placed = useRef<number>(undefined);
	const id = useId();
	useEffect(() => setDraft(value), [value]);
	useLayoutEffect(() => {
		if (placed.current !== undefined) input.current?.setSelectionRange(placed.current, placed.current);
		placed.current = undefined;
	});
	const completions = completionsAt(draft, caret, vocabulary);
	const { options } = completions;
	const isListed = isOpen && options.length > 0;
	const parsed = parseExpression(draft);
	const problem = parsed === undefined || "matches" in parsed ? undefined : parsed;
	// What is still being written is not told to be wrong.
	const isShown = problem !== undefined && !(isListed && problem.at >= draft.trimEnd().length);

	const commit = (): void => {
		setOpen(false);
		if (problem === undefined && draft.trim() !== value) onApply(draft.trim());
	};
	const take = (option: Completion): void => {
		const next = taken(draft, completions, option);
		setDraft(next.text);
		setCaret(next.caret);
		setActive(-1);
		placed.current = next.caret;
	};
	const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
		const chosen = isListed ? options[active] : undefined;
		const { key } = event;
		if (key === "ArrowDown" || key === "ArrowUp") {
			const step = key === "ArrowDown" ? 1 : -1;
			if (isListed) setActive((active + step + (active < 0 && step < 0 ? 1 : 0) + options.length) % options.length);
			setCaret(event.currentTarget.selectionStart ?? draft.length);
			setOpen(true);
		} else if ((key === "Enter" || key === "Tab") && chosen !== undefined) take(chosen);
		else if (key === "Enter") commit();
		else if (key === "Escape" && isListed) setOpen(false);
		else {
			if (key === "Escape") setDraft(value);
			return;
		}
		event.preventDefault();
	};
	return (
		<div className="filter graph-expression">
			<label htmlFor={id}>{label}</label>
			<input
				ref={input}
				id={id}
				type="text"
				role="combobox"
				value={draft}
				placeholder={label === "Find" ? "p95 > 200ms and mtls < 100" : "kind = external"}
				autoComplete="off"
				spellCheck={false}
				aria-autocomplete="list"
				aria-expanded={isListed}
				aria-controls={`${id}-options`}
				aria-activedescendant={isListed && active >= 0 ? `${id}-option-${active}` : undefined}
				aria-invalid={problem !== undefined}
				aria-describedby={isShown ? `${id}-problem` : undefined}
				onChange={(event) => {
					setDraft(event.target.value);
					setCaret(event.target.selectionStart ?? event.target.value.length);
					setActive(-1);
					setOpen(true);
				}}
				onBlur={commit}
				onKeyDown={onKeyDown}
				onClick={(event) => {
					setCaret(event.currentTarget.selectionStart ?? draft.length);
					setOpen(true);
				}}
			/>
			<div className="graph-below">
				<div
					className="graph-options card"
					id={`${id}-options`}
					role="listbox"
					aria-label="What may come next"
					hidden={!isListed}
				>
					{isListed &&
						options.map((option, index) => (
							<Option
								key={option.text}
								id={`${id}-option-${index}`}
								option={option}
								isActive={index === active}
								onTake={() => take(option)}
							/>
						))}
				</div>
				{isShown && (
					<div className="filter-problem graph-problem" id={`${id}-problem`}>
						<Problem text={draft} at={problem.at} problem={problem.problem} />
					</div>
				)}
			</div>
		</div>
	);
}

interface OptionProps {
	readonly id: string;
	readonly option: Completion;
	readonly isActive: boolean;
	readonly onTake: () => void;
}

function Option({ id, option, isActive, onTake }: OptionProps): ReactNode {
	const item = useRef<HTMLDivElement>(null);
	useEffect(() => {
		if (isActive) item.current?.scrollIntoView({ block: "nearest" });
	}, [isActive]);
	return (
		<div
			ref={item}
			id={id}
			role="option"
			tabIndex={-1}
			aria-selected={isActive}
			// Not a click: the box would lose the focus first, and be applied.
			onPointerDown={(event) => {
				event.preventDefault();
				onTake();
			}}
		>
			<bdi className="mono">{shorten(option.text, 60)}</bdi>
			<span className="muted">{option.hint}</span>
		</div>
	);
}

interface ProblemProps {
	readonly text: string;
	readonly at: number;
	readonly problem: string;
}

/** The text with a mark under the character at which it goes wrong, and why. */
function Problem({ text, at, problem }: ProblemProps): ReactNode {
	return (
		<>
			<span className="graph-problem-text mono">
				{text.slice(Math.max(0, at - 24), at)}
				<mark>{text.slice(at, at + 1).trim() === "" ? "␣" : text[at]}</mark>
				{text.slice(at + 1, at + 12)}
			</span>
			<span>
				Character {at + 1}: {problem}
			</span>
		</>
	);
}

/**
 * The body of a table: all rows where they are few, else those near the window, with gaps that take the room of the others. Readers
 * are told how many rows there are and which one each is; the row that has the focus is never taken away; printing draws them all.
 */
import { useEffect, useMemo, useRef, useState } from "react";
import type { ReactNode, RefObject } from "react";
import { flushSync } from "react-dom";
import { rowOffsets, rowsInView, tablePieces } from "../layout/virtual-rows.ts";

/** From here on rows are drawn as they are needed: 3,000 rows of links drawn at once take seconds. */
export const VIRTUAL_ROWS = 150;
/** Before anything was measured. */
const GUESSED_HEIGHT = 40;
const SPARE_ROWS = 12;

interface TableRowsProps<T> {
	readonly rows: readonly T[];
	readonly rowKey: (row: T) => string;
	/** The box in which the table scrolls. */
	readonly scroller: RefObject<HTMLElement | null>;
	/** The cells of a row. */
	readonly draw: (row: T) => ReactNode;
}

export function TableRows<T>(props: TableRowsProps<T>): ReactNode {
	const isPrinting = usePrinting();
	if (props.rows.length > VIRTUAL_ROWS && !isPrinting) return <VirtualRows {...props} />;
	return (
		<tbody>
			{props.rows.map((row) => (
				<tr key={props.rowKey(row)}>{props.draw(row)}</tr>
			))}
		</tbody>
	);
}

function VirtualRows<T>({ rows, rowKey, scroller, draw }: TableRowsProps<T>): ReactNode {
	const body = useRef<HTMLTableSectionElement>(null);
	const view = useView(scroller, body);
	const [heights, setHeights] = useState<Heights>(new Map());
	const focused = useFocusedRow(body);
	const offsets = useMemo(() => {
		const guess = heights.size === 0 ? GUESSED_HEIGHT : average(heights.values());
		return rowOffsets(rows.length, (i) => heights.get(rowKey(rows[i]!)) ?? guess);
	}, [rows, rowKey, heights]);
	const kept = useMemo(
		() => (focused === undefined ? undefined : rows.findIndex((row) => rowKey(row) === focused)),
		[rows, rowKey, focused],
	);
	const pieces = tablePieces(offsets, rowsInView(offsets, view.top, view.top + view.height, SPARE_ROWS), kept);
	useMeasured(body, setHeights);
	return (
		<tbody ref={body}>
			{pieces.map((piece) =>
				piece.kind === "gap" ? (
					<tr
						key={`gap before ${piece.end}`}
						className="table-gap"
						aria-hidden="true"
						style={{ height: piece.height }}
					/>
				) : (
					rows.slice(piece.first, piece.end).map((row, i) => {
						const key = rowKey(row);
						return (
							// The head is row 1.
							<tr key={key} data-row={key} aria-rowindex={piece.first + i + 2}>
								{draw(row)}
							</tr>
						);
					})
				),
			)}
		</tbody>
	);
}

function average(values: Iterable<number>): number {
	let [sum, count] = [0, 0];
	for (const value of values) {
		sum += value;
		count++;
	}
	return sum / count;
}

type Heights = ReadonlyMap<string, number>;

/** Measures the drawn rows at first, and whenever the height of all differs from what was reckoned: others came, or one grew. */
function useMeasured(body: RefObject<HTMLElement | null>, setHeights: (change: (known: Heights) => Heights) => void): void {
	useEffect(() => {
		if (body.current === null) return undefined;
		const resized = new ResizeObserver(() => setHeights((known) => measure(body.current, known)));
		resized.observe(body.current);
		return () => resized.disconnect();
	}, [body, setHeights]);
}

/** The heights with those of the drawn rows; the same map when each was known. */
function measure(body: HTMLElement | null, known: Heights): Heights {
	const measured = new Map<string, number>();
	for (const row of body?.querySelectorAll<HTMLElement>("tr[data-row]") ?? []) {
		const height = row.getBoundingClientRect().height;
		// Less than a pixel is rounding, and would go on for ever.
		if (height > 0 && Math.abs((known.get(row.dataset["row"]!) ?? 0) - height) >= 1)
			measured.set(row.dataset["row"]!, height);
	}
	return measured.size === 0 ? known : new Map([...known, ...measured]);
}

function useFocusedRow(body: RefObject<HTMLElement | null>): string | undefined {
	const [focused, setFocused] = useState<string>();
	useEffect(() => {
		const rows = body.current;
		if (rows === null) return undefined;
		const onFocus = ({ target }: FocusEvent): void =>
			setFocused(target instanceof Element ? target.closest("tr")?.dataset["row"] : undefined);
		// On its way from row to row the focus is nowhere for a moment: the next row must not go meanwhile.
		const onBlur = ({ relatedTarget }: FocusEvent): void => {
			if (!(relatedTarget instanceof Node && rows.contains(relatedTarget))) setFocused(undefined);
		};
		rows.addEventListener("focusin", onFocus);
		rows.addEventListener("focusout", onBlur);
		return () => {
			rows.removeEventListener("focusin", onFocus);
			rows.removeEventListener("focusout", onBlur);
		};
	}, [body]);
	return focused;
}

interface View {
	/** Of the box, from the first row's upper edge. */
	readonly top: number;
	readonly height: number;
}

function useView(scroller: RefObject<HTMLElement | null>, body: RefObject<HTMLElement | null>): View {
	const [view, setView] = useState<View>({ top: 0, height: 800 });
	// Not a layout effect: those of a child run before the box above it is known.
	useEffect(() => {
		const box = scroller.current;
		if (box === null) return undefined;
		const read = (): void => {
			const top = box.scrollTop - (body.current?.offsetTop ?? 0);
			setView((before) =>
				before.top === top && before.height === box.clientHeight ? before : { top, height: box.clientHeight },
			);
		};
		read();
		box.addEventListener("scroll", read, { passive: true });
		const resized = new ResizeObserver(read);
		resized.observe(box);
		return () => {
			box.removeEventListener("scroll", read);
			resized.disconnect();
		};
	}, [scroller, body]);
	return view;
}

function usePrinting(): boolean {
	const [isPrinting, setPrinting] = useState(false);
	useEffect(() => {
		// Drawn before the event ends: the browser prints what is there then.
		const start = (): void => flushSync(() => setPrinting(true));
		const stop = (): void => setPrinting(false);
		window.addEventListener("beforeprint", start);
		window.addEventListener("afterprint", stop);
		return () => {
			window.removeEventListener("beforeprint", start);
			window.removeEventListener("afterprint", stop);
		};
	}, []);
	return isPrinting;
}

/**
 * The topology stage: committed groups in, roll-ups out, each observation counted once.
 *
 * What a trace's spans state is a pure function of them and of the maturity watermark (model/topology/hops/), so a trace that gets more
 * spans is evaluated again, and the difference to what it stated before is written. A flush makes the differences, the watermark and
 * the cursor durable in one transaction; what comes behind the cursor after a crash is read again from the store. Free of threads and
 * clocks: topology-worker.ts runs it.
 */
import type { LogFacts, SpanFacts } from "../../model/topology/facts.ts";
import type { TraceId } from "../../model/ids.ts";
import type { Hop } from "../../model/topology/hop.ts";
import { HopShapes } from "../../model/topology/hops/hop-shape.ts";
import { HopFinder } from "../../model/topology/hops/trace-hops.ts";
import { MeshscopeError } from "../../model/errors.ts";
import type { CommitRef, TopologyFlush } from "../../store/topology.ts";
import { FactsTable } from "./facts-table.ts";
import { HopWriter } from "./hop-writer.ts";
import { Ledger } from "./ledger.ts";
import { LogWriter } from "./log-writer.ts";
import { NUMBER, NUMBERS_A_ROW, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";
import { SeenTraces, wordsOfId } from "./seen-traces.ts";
import { SeriesRegistry } from "./series-registry.ts";
import type { MetricSource, StageDrops, StageGroup, StageOptions } from "./stage-options.ts";
import { decodeStageState, StageStateWriter } from "./stage-state.ts";
import { TraceTable } from "./trace-table.ts";

const FLAG = { dirty: 1, hasStated: 2, mustReload: 4 } as const;
const PAST_MS = 7 * 86_400_000;
const FUTURE_MS = 86_400_000;
/** Facts that come between two compactions of them: those in use may be more, and stay. */
const FACTS_A_COMPACTION = 1 << 13;
/** Shapes beyond it are forgotten, and made again by those hops that come: a mesh of 20,000 profiles has some 10,000. */
const MAX_SHAPES = 1 << 15;
/** Of the rows, what is freed at once when there are too many. */
const MAKE_ROOM = 0.25;
/** Read from the store at once: what lies together is read together, and what one read holds is bounded. */
const TRACES_A_READ = 8_192;
const MATURITY_STEP_MS = 1_000;

export class TopologyStage {
	readonly drops: StageDrops = { implausibleTime: 0, traceTooLarge: 0, statedEarly: 0, notRejoined: 0, overflowed: 0 };
	/** The last group that was taken in, and the last one whose effects are on disk. */
	accepted: CommitRef | undefined;
	flushed: CommitRef | undefined;
	private readonly options: StageOptions;
	private readonly table = new TraceTable();
	private readonly seen: SeenTraces;
	private readonly shapes = new HopShapes();
	private readonly finder = new HopFinder(this.shapes);
	private readonly facts: FactsTable<SpanFacts>;
	private readonly logFacts: FactsTable<LogFacts>;
	private readonly registry: SeriesRegistry;
	private readonly hops: HopWriter;
	private readonly logs: LogWriter;
	private readonly metrics: MetricSource;
	private ledger = new Ledger();
	private dirty: number[] = [];
	/** The trace in hand, of which {@link state} states a hop. */
	private evaluating = 0;
	/** Traces by the second in which a half of theirs becomes mature. Entries may be out of date. */
	private readonly maturing = new Map<number, number[]>();
	private watermarkMs: number;
	private lastArrivedMs = 0;
	private unwritten: TopologyFlush | undefined;

	constructor(options: StageOptions) {
		this.options = options;
		const { store, limits } = options;
		const loaded = store.load();
		this.facts = new FactsTable((profile) => {
			const facts = options.spanFacts(profile);
			return facts.ignored === undefined ? facts : undefined;
		});
		this.logFacts = new FactsTable(options.logFacts);
		this.registry = new SeriesRegistry(limits, loaded.series);
		this.hops = new HopWriter(this.registry);
		this.logs = new LogWriter(this.registry);
		this.metrics = options.metrics(loaded.counters);
		const { watermarkMs, waiting } = decodeStageState(loaded.state);
		this.watermarkMs = watermarkMs;
		this.accepted = this.flushed = loaded.cursor;
		this.seen = new SeenTraces(options.committed, loaded.cursor, waiting);
	}

	get rows(): number {
		return this.table.rows;
	}

	get series(): number {
		return this.registry.size;
	}

	/** Whether anything waits that only time will settle. */
	get isWaiting(): boolean {
		return this.maturing.size > 0 || this.seen.waiting > 0 || this.unwritten !== undefined;
	}

	accept(group: StageGroup): void {
		const { ref, arrivedMs, spans, logs, metrics } = group;
		this.lastArrivedMs = Math.max(this.lastArrivedMs, arrivedMs);
		if (spans !== undefined) {
			const facts = this.facts.numbersOf(spans);
			for (let row = 0; row < spans.count; row++) if (facts[row]! >= 0) this.acceptSpan(spans, row, facts[row]!, arrivedMs);
		}
		if (logs !== undefined) this.acceptLogs(logs, arrivedMs);
		if (metrics.length > 0)
			this.metrics.observe(metrics, arrivedMs, (dims, timeMs) => this.ledger.sumsOf(this.registry.idOf(dims), timeMs));
		this.accepted = ref;
	}

	/**
	 * Writes what is known by now. False when the disk has no room, or the last flush no time: nothing is lost, and the next call or
	 * the next start does it.
	 * @param isCaughtUp whether every committed group was accepted, so that time passes without groups
	 * @param isLast whether the stage ends: what can be done after the next start is left to it
	 */
	flush(nowMs: number, isCaughtUp: boolean, isLast = false): boolean {
		if (this.unwritten !== undefined && !this.write(this.unwritten)) return false;
		const clockMs = isCaughtUp || this.lastArrivedMs === 0 ? nowMs : this.lastArrivedMs;
		const watermarkMs = this.nextWatermark(clockMs);
		if (!this.reload(isLast)) return false;
		this.addMature(watermarkMs);
		if (this.dirty.length === 0 && this.ledger.isEmpty && this.accepted === this.flushed) {
			this.watermarkMs = watermarkMs;
			this.evict(clockMs);
			return true;
		}
		for (const trace of this.dirty) this.evaluate(trace, watermarkMs);
		this.dirty = [];
		this.watermarkMs = watermarkMs;
		this.hops.takeSightings(this.ledger);
		this.logs.takeSightings(this.ledger);
		this.drops.overflowed = this.registry.overflowed;
		const flush: TopologyFlush = {
			cursor: this.accepted,
			state: this.state(),
			series: this.registry.takeFresh(),
			rollups: this.ledger.deltas(),
			exemplars: this.ledger.takeExemplars(),
			certificates: this.ledger.certificates,
			addresses: this.ledger.addresses,
			counters: this.metrics.takeChanged(),
		};
		this.ledger = new Ledger();
		this.evict(clockMs);
		this.compact();
		return this.write(flush);
	}

	private write(flush: TopologyFlush): boolean {
		try {
			this.options.store.flush(flush);
		} catch (error) {
			if (!(error instanceof MeshscopeError) || !error.retryable) throw error;
			this.unwritten = flush;
			return false;
		}
		this.unwritten = undefined;
		this.flushed = flush.cursor;
		return true;
	}

	private acceptSpan(rows: RecordRows, row: number, facts: number, arrivedMs: number): void {
		if (!isPlausible(rows.numbers[row * NUMBERS_A_ROW + NUMBER.startMs]!, arrivedMs)) {
			this.drops.implausibleTime++;
			return;
		}
		const trace = this.traceFor(rows, row, arrivedMs);
		if (this.table.rowsOf(trace) >= this.options.limits.maxRowsPerTrace) {
			this.drops.traceTooLarge++;
			return;
		}
		this.table.addRow(trace, rows, row, facts, false);
		if ((this.table.flags[trace]! & FLAG.dirty) !== 0) return;
		this.table.flags[trace] = this.table.flags[trace]! | FLAG.dirty;
		this.dirty.push(trace);
	}

	private traceFor(rows: RecordRows, row: number, nowMs: number): number {
		const at = row * WORDS_A_ROW + WORD.traceId;
		let trace = this.table.find(rows.words, at);
		if (trace < 0) {
			trace = this.table.add(rows.words, at);
			if (this.seen.has(rows.words, at)) this.table.flags[trace] = FLAG.mustReload;
		}
		this.table.touch(trace, nowMs);
		return trace;
	}

	private acceptLogs(rows: RecordRows, arrivedMs: number): void {
		const numbers = this.logFacts.numbersOf(rows);
		for (let row = 0; row < rows.count; row++) {
			if (numbers[row]! < 0) continue;
			const facts = this.logFacts.facts[numbers[row]!]!;
			if (isPlausible(rows.numbers[row * NUMBERS_A_ROW + NUMBER.startMs]!, arrivedMs))
				this.logs.add(this.ledger, facts, rows, row);
			else this.drops.implausibleTime++;
		}
	}

	/** States the difference between what the trace stated and what it states now. */
	private evaluate(trace: number, watermarkMs: number): void {
		const { table } = this;
		const flags = table.flags[trace]!;
		if ((flags & FLAG.hasStated) !== 0) this.eachHop(trace, true, this.statedUnder(trace), this.takeBack);
		this.evaluating = trace;
		const nextMaturityMs = this.eachHop(trace, false, watermarkMs, this.addHop);
		table.setStated(trace);
		table.flags[trace] = FLAG.hasStated;
		this.noteMaturity(trace, nextMaturityMs);
	}

	/** The watermark under which the trace's hops were stated. */
	private statedUnder(trace: number): number {
		if (this.seen.waiting === 0) return this.watermarkMs;
		return this.seen.takeWaiting(this.traceIdOf(trace)) ?? this.watermarkMs;
	}

	private eachHop(trace: number, onlyStated: boolean, watermarkMs: number, visit: (hop: Hop) => void): number {
		return this.finder.each(this.table.spansOf(trace, this.facts.facts, onlyStated), watermarkMs, visit);
	}

	private readonly takeBack = (hop: Hop): void => void this.hops.add(this.ledger, hop, -1);

	private readonly addHop = (hop: Hop): void => {
		const wanted = this.hops.add(this.ledger, hop, 1);
		if (wanted !== undefined) this.ledger.addExemplar({ ...wanted, traceId: this.traceIdOf(this.evaluating) });
	};

	private traceIdOf(trace: number): TraceId {
		let id = "";
		for (let i = 0; i < 4; i++) id += this.table.traceWord(trace, i).toString(16).padStart(8, "0");
		return id as TraceId;
	}

	private noteMaturity(trace: number, endMs: number): void {
		this.table.nextMaturityMs[trace] = endMs;
		if (endMs === Infinity) return;
		const step = Math.ceil(endMs / MATURITY_STEP_MS);
		const others = this.maturing.get(step);
		if (others === undefined) this.maturing.set(step, [trace]);
		else others.push(trace);
	}

	/** Halves whose spans ended so long ago, by the clock of arrivals, that their other halves are no longer waited for. */
	private nextWatermark(clockMs: number): number {
		const { limits } = this.options;
		// In whole steps: a half must be mature when its step is due and not before, or it is taken back without having been stated.
		const steps = Math.floor((clockMs - limits.maturityMs) / MATURITY_STEP_MS);
		const due = Math.max(this.watermarkMs, steps * MATURITY_STEP_MS);
		if (this.table.rows <= limits.maxRows) return due;
		let excess = this.table.rows - limits.maxRows * (1 - MAKE_ROOM);
		let watermarkMs = due;
		for (const step of [...this.maturing.keys()].sort((a, b) => a - b)) {
			if (excess <= 0) break;
			for (const trace of this.maturing.get(step)!) excess -= this.table.rowsOf(trace);
			if (step * MATURITY_STEP_MS <= due) continue;
			this.drops.statedEarly += this.maturing.get(step)!.length;
			watermarkMs = step * MATURITY_STEP_MS;
		}
		return watermarkMs;
	}

	private addMature(watermarkMs: number): void {
		const { table } = this;
		for (const [step, traces] of this.maturing) {
			// Steps round up: all of a step are mature only at its end.
			if (step * MATURITY_STEP_MS > watermarkMs) continue;
			this.maturing.delete(step);
			for (const trace of traces) {
				const isDue = table.nextMaturityMs[trace]! <= watermarkMs && (table.flags[trace]! & FLAG.dirty) === 0;
				if (!isDue || table.rowsOf(trace) === 0) continue;
				table.flags[trace] = table.flags[trace]! | FLAG.dirty;
				this.dirty.push(trace);
			}
		}
	}

	/**
	 * Traces that went and came back are joined with what the store has of them, up to the last flush. False when there is no time to
	 * do it for all of them and the next start can.
	 */
	private reload(isLast: boolean): boolean {
		const { table, options } = this;
		const { limits } = options;
		const back = this.dirty.filter((trace) => (table.flags[trace]! & FLAG.mustReload) !== 0);
		const untilMs = options.monotonicMs() + (isLast ? limits.maxLastReloadMs : limits.maxReloadMs);
		for (let from = 0; from < back.length; from += TRACES_A_READ) {
			const some = back.slice(from, from + TRACES_A_READ);
			if (options.monotonicMs() > untilMs) {
				if (isLast) return false;
				this.drops.notRejoined += some.length;
			} else this.addStored(some.map((trace) => this.traceIdOf(trace)));
			for (const trace of some) table.flags[trace] = table.flags[trace]! & ~FLAG.mustReload;
		}
		return true;
	}

	/** Adds what the store has of these traces, as stated; those that are not in the table are put there. */
	private addStored(ids: readonly TraceId[]): void {
		const { committed, rowsOf } = this.options;
		committed.traces(ids, this.flushed, (message) => {
			const rows = rowsOf(message);
			if (rows !== undefined) this.addStoredRows(rows);
		});
	}

	private addStoredRows(rows: RecordRows): void {
		const { table } = this;
		const { limits } = this.options;
		const facts = this.facts.numbersOf(rows);
		for (let row = 0; row < rows.count; row++) {
			if (facts[row]! < 0) continue;
			// As when it arrived, give or take what lies between the two clocks.
			if (!isPlausible(rows.numbers[row * NUMBERS_A_ROW + NUMBER.startMs]!, this.watermarkMs + limits.maturityMs)) continue;
			const at = row * WORDS_A_ROW + WORD.traceId;
			let trace = table.find(rows.words, at);
			if (trace < 0) trace = table.add(rows.words, at);
			if (table.rowsOf(trace) >= limits.maxRowsPerTrace) continue;
			table.addRow(trace, rows, row, facts[row]!, true);
			if ((table.flags[trace]! & FLAG.dirty) === 0) this.dirty.push(trace);
			table.flags[trace] = table.flags[trace]! | FLAG.dirty | FLAG.hasStated;
		}
	}

	/**
	 * Some of the traces in which a half waited when the last run ended. One that got more spans meanwhile is here already. True while
	 * there are more.
	 */
	readWaiting(): boolean {
		// More of one came first: it is joined with what the store has like any trace that comes back.
		const isHere = (id: TraceId): boolean => this.table.find(wordsOfId(id), 0) >= 0;
		const wanted = this.seen.waitingIds(TRACES_A_READ, isHere);
		this.addStored(wanted);
		// Its window was removed, and what it would still have said with it.
		for (const id of wanted) if (!isHere(id)) this.seen.takeWaiting(id);
		return wanted.length === TRACES_A_READ;
	}

	/** What a later run has to know and to read again. */
	private state(): Uint8Array {
		const { table } = this;
		const state = new StageStateWriter(this.watermarkMs);
		this.seen.addWaiting(state);
		for (const traces of this.maturing.values()) {
			for (const trace of traces) {
				if (table.nextMaturityMs[trace]! === Infinity || table.rowsOf(trace) === 0) continue;
				const [w0, w1, w2, w3] = wordsOf(table, trace);
				state.add(w0, w1, w2, w3, this.watermarkMs);
			}
		}
		return state.finish();
	}

	private evict(clockMs: number): void {
		const { table } = this;
		const { holdMs, maxRows, maxCompleteRows } = this.options.limits;
		for (const trace of table.inOrderOfTouch()) {
			const isRoomy = table.rows <= Math.min(maxCompleteRows, maxRows * (1 - MAKE_ROOM));
			if (isRoomy && table.touchedMs[trace]! > clockMs - holdMs) break;
			if (table.nextMaturityMs[trace]! !== Infinity || (table.flags[trace]! & FLAG.dirty) !== 0) continue;
			this.seen.add(...wordsOf(table, trace));
			table.remove(trace);
		}
	}

	private compact(): void {
		if (this.facts.hasGrownBy(FACTS_A_COMPACTION)) {
			this.facts.compact((move) => {
				for (const trace of this.table.inOrderOfTouch())
					this.table.eachRow(trace, (row) => this.table.setFacts(row, move(this.table.factsOf(row))));
			});
			this.forgetShapes();
		} else if (this.shapes.size > MAX_SHAPES) this.forgetShapes();
		if (this.logFacts.hasGrownBy(FACTS_A_COMPACTION)) {
			this.logFacts.compact(() => {});
			this.logs.forget();
		}
	}

	private forgetShapes(): void {
		this.shapes.clear();
		this.hops.forget();
	}
}

function isPlausible(timeMs: number, arrivedMs: number): boolean {
	return timeMs >= arrivedMs - PAST_MS && timeMs <= arrivedMs + FUTURE_MS;
}

function wordsOf(table: TraceTable, trace: number): [number, number, number, number] {
	return [table.traceWord(trace, 0), table.traceWord(trace, 1), table.traceWord(trace, 2), table.traceWord(trace, 3)];
}

/**
 * What a power cut may leave: the data directory of a running writer, its WAL cut or damaged at a random byte. Whatever was damaged,
 * the store must open, hold whole groups only, those of a prefix of the commits, and take new ones.
 *
 * Knows the store's contract and is handed an engine.
 */
import assert from "node:assert/strict";
import { cpSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { parseTraceId } from "../../model/ids.ts";
import { EMPTY_METRIC_BATCH } from "../../model/metric.ts";
import type { StoreReader, StoreWriter } from "../../store/store.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch } from "./batches.ts";

export interface EngineUnderTest {
	openWriter(directory: string): StoreWriter;
	openReader(directory: string): StoreReader;
}

export interface CrashImage {
	readonly directory: string;
	/** In the order of the commits. */
	readonly groups: readonly Batch[];
	/** WAL files with something in them, relative to the directory. */
	readonly wals: readonly string[];
}

export interface TornCase {
	readonly wal: string;
	readonly damage: string;
	/** Groups that survived, of all in the image. */
	readonly kept: number;
}

const small = makeTemplate({ signal: "traces", traces: 3, recordsPerTrace: 4, serviceName: "torn" });
const large = makeTemplate({ signal: "traces", traces: 30, recordsPerTrace: 10, serviceName: "torn" });
const columns = { spans: new RecordColumns(SPAN_SHAPE), logs: new RecordColumns(LOG_SHAPE) };

/** Commits `count` groups of different sizes and copies the directory while the writer still has it open. */
export function makeCrashImage(engine: EngineUnderTest, folder: string, count: number): CrashImage {
	const running = path.join(folder, "running");
	const directory = path.join(folder, "image");
	const writer = engine.openWriter(running);
	const groups: Batch[] = [];
	for (let i = 0; i < count; i++) groups.push(append(writer, i % 7 === 3 ? large : small));
	cpSync(running, directory, { recursive: true });
	writer.close();
	rmSync(running, { recursive: true });
	const wals = (readdirSync(directory, { recursive: true }) as string[]).filter(
		(file) => file.endsWith("-wal") && statSync(path.join(directory, file)).size > 0,
	);
	return { directory, groups, wals };
}

function append(writer: StoreWriter, template: typeof small): Batch {
	const nowMs = Date.now();
	const batch = template.make(nowMs);
	columns.spans.reset();
	columns.logs.reset();
	if (batch.signal === "traces") skimTraces(batch.bytes, columns.spans, DEFAULT_LIMITS);
	else skimLogs(batch.bytes, columns.logs, DEFAULT_LIMITS);
	const fingerprints = Uint8Array.from(Buffer.from(batch.traceIds[0]!, "hex"));
	const group = { spans: columns.spans, logs: columns.logs, metrics: EMPTY_METRIC_BATCH, fingerprints };
	const { ref } = writer.append({ ...group, topologyMetrics: new Uint8Array(0), arrivedMs: nowMs });
	writer.release(ref);
	return batch;
}

/** Damages one WAL of a copy of the image and asserts what must hold. */
export async function runTornCase(
	engine: EngineUnderTest,
	image: CrashImage,
	copy: string,
	random: () => number,
): Promise<TornCase> {
	cpSync(image.directory, copy, { recursive: true });
	try {
		// The shared-memory index does not survive a power cut, but does survive kill -9.
		if (random() < 0.5) {
			for (const file of readdirSync(copy, { recursive: true }) as string[]) {
				if (file.endsWith("-shm")) rmSync(path.join(copy, file));
			}
		}
		const wal = image.wals[Math.floor(random() * image.wals.length)]!;
		const damage = damageFile(path.join(copy, wal), random);
		const context = `${wal}, ${damage}`;
		const kept = await assertPrefix(engine, image, copy, context);
		return { wal, damage, kept };
	} finally {
		rmSync(copy, { recursive: true, force: true });
	}
}

function damageFile(file: string, random: () => number): string {
	const bytes = readFileSync(file);
	const offset = Math.floor(random() * bytes.length);
	const kind = Math.floor(random() * 4);
	if (kind === 0) {
		writeFileSync(file, bytes.subarray(0, offset));
		return `cut at byte ${offset} of ${bytes.length}`;
	}
	if (kind === 1) {
		bytes[offset]! ^= 1 << Math.floor(random() * 8);
		writeFileSync(file, bytes);
		return `one bit flipped at byte ${offset} of ${bytes.length}`;
	}
	if (kind === 2) {
		bytes.fill(0, offset);
		writeFileSync(file, bytes);
		return `zeros from byte ${offset} of ${bytes.length}`;
	}
	const end = Math.min(bytes.length, offset + 4096);
	for (let i = offset; i < end; i++) bytes[i] = Math.floor(random() * 256);
	writeFileSync(file, bytes);
	return `noise over bytes ${offset} to ${end} of ${bytes.length}`;
}

async function assertPrefix(engine: EngineUnderTest, image: CrashImage, directory: string, context: string): Promise<number> {
	const writer = engine.openWriter(directory);
	try {
		const reader = engine.openReader(directory);
		try {
			const presence: boolean[] = [];
			for (const [i, group] of image.groups.entries()) {
				// First and last trace tell a whole group; the counts below tell the rest.
				const ends = [group.traceIds[0]!, group.traceIds.at(-1)!];
				const counts = await Promise.all(ends.map((id) => spanCount(reader, id)));
				assert.ok(
					counts.every((count) => count === group.recordsPerTrace) || counts.every((count) => count === 0),
					`${context}: group ${i} is torn, its traces hold ${counts.join(" and ")} spans`,
				);
				presence.push(counts[0] !== 0);
			}
			const kept = presence.lastIndexOf(true) + 1;
			assert.ok(!presence.slice(0, kept).includes(false), `${context}: not a prefix: ${presence.map(Number).join("")}`);
			const spans = image.groups.slice(0, kept).reduce((sum, group) => sum + group.spanIds.length, 0);
			assert.equal(writer.stats().spans, spans, `${context}: spans that the store counts`);
			const added = append(writer, small);
			assert.equal(await spanCount(reader, added.traceIds[0]!), added.recordsPerTrace, `${context}: takes a new group`);
			return kept;
		} finally {
			await reader.close();
		}
	} finally {
		writer.close();
	}
}

async function spanCount(reader: StoreReader, traceId: string): Promise<number> {
	const id = parseTraceId(traceId);
	assert.ok(id !== undefined);
	return (await reader.trace(id, "protobuf")).trace?.summary.spanCount ?? 0;
}

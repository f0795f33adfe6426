/**
 * Entry of the writer thread: opens the engine and runs the committer's loop on messages from the main thread.
 */
import { randomInt } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { Committer } from "./committer.ts";
import type { FromWriter, ToWriter, WriterSettings } from "./messages.ts";
import { MAX_SPARE_BYTES, MIN_SPARE_BYTES } from "./spare-buffers.ts";
import { createFailpoint } from "../../store/sqlite/failpoint.ts";
import { createMergeThread } from "../../store/sqlite/merge-thread.ts";
import { DirectoryLockedError } from "../../store/sqlite/lock.ts";
import { openSqliteWriter } from "../../store/sqlite/writer.ts";
import { TopologyFeed } from "../topology/feed.ts";
import { LogExtractor } from "../topology/log-extractor.ts";
import { spanExtractor } from "../topology/span-profile.ts";
import { startTopologyThread } from "../topology/topology-thread.ts";

const port = parentPort!;
const settings = workerData as WriterSettings;

function send(message: FromWriter): void {
	port.postMessage(message);
}

/** Detached at once, a payload's memory need not wait for a collection: they come faster than those. Large ones serve again. */
function giveBack(payloads: readonly ArrayBuffer[]): void {
	const buffers: ArrayBuffer[] = [];
	for (const buffer of payloads) {
		if (buffer.byteLength >= MIN_SPARE_BYTES && buffer.byteLength <= MAX_SPARE_BYTES) buffers.push(buffer);
		else buffer.transfer(0);
	}
	if (buffers.length > 0) port.postMessage({ kind: "spares", buffers } satisfies FromWriter, buffers);
}

function log(level: "info" | "warn" | "error", message: string): void {
	send({ kind: "log", level, message });
}

/** The merge thread ends after this long without work, and gives its memory back. */
const MERGER_IDLE_MS = 30_000;

let committer: Committer | undefined;

function start(): void {
	const store = openSqliteWriter({
		directory: settings.directory,
		windowMs: settings.windowMs,
		maxAgeMs: settings.maxAgeMs,
		maxBytes: settings.maxBytes,
		now: Date.now,
		log,
		failpoint: createFailpoint(settings.failpoint),
		merger: createMergeThread(new URL("../../store/sqlite/merge-worker.ts", import.meta.url), MERGER_IDLE_MS),
		onWork: () => committer?.poke(),
	});
	const seed = (): readonly [number, number] => [randomInt(2 ** 32), randomInt(2 ** 32)];
	const { directory, maxAgeMs, maxBytes, failpoint } = settings;
	const topology = new TopologyFeed({
		store,
		limits: settings.limits,
		spans: (firstProfile) => spanExtractor(seed(), firstProfile),
		logs: (firstProfile) => new LogExtractor(firstProfile),
		start: (receive, lost) =>
			startTopologyThread(
				new URL("../topology/topology-worker.ts", import.meta.url),
				{ directory, maxAgeMs, maxBytes, failpoint },
				receive,
				lost,
			),
		onWork: () => committer?.poke(),
		log,
	});
	// What the last run left to do is done at once; an empty store starts the thread with its first group.
	if (store.stats().windows.length > 0) topology.open();
	committer = new Committer({
		store,
		topology,
		limits: settings.limits,
		now: Date.now,
		answer: (results) => send({ kind: "results", results }),
		release: giveBack,
		log,
	});
	port.on("message", (message: ToWriter) => {
		switch (message.kind) {
			case "batch":
				committer?.push(message);
				break;
			case "stats":
				send({
					kind: "stats",
					id: message.id,
					stats: store.stats(),
					commits: committer?.commits ?? 0,
					topology: topology.stats(),
				});
				break;
			case "backup":
				store
					.backup(message.directory)
					.then(({ files, bytes }) => send({ kind: "backup", id: message.id, files, bytes }))
					.catch((error: unknown) =>
						send({ kind: "backup", id: message.id, files: 0, bytes: 0, error: String(error) }),
					);
				break;
			case "close":
				committer?.drain();
				void topology.close().then(() => {
					committer?.close();
					send({ kind: "closed" });
					port.close();
				});
				break;
		}
	});
	send({ kind: "ready" });
}

try {
	start();
} catch (error) {
	send({
		kind: "failed",
		message: error instanceof Error ? error.message : String(error),
		locked: error instanceof DirectoryLockedError,
	});
	port.close();
}

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { MeshscopeError } from "../../model/errors.ts";
import { timeNs } from "../../model/time.ts";
import { backupDirectory } from "./backup.ts";
import { openScanner } from "./scan.ts";
import { HOUR_MS, NOW_MS, NOW_NS, openTestStore, temporaryDirectory, type TestGroup } from "../../test/store/sqlite-directory.ts";
import { verifyDirectory } from "./verify.ts";
import { windowPath } from "./window-set.ts";

/** Ten spans named after the group's number. */
function group(number: number, arrivedMs = NOW_MS): TestGroup {
	const spans = Array.from({ length: 10 }, (_, i) => ({
		traceId: (number + 1).toString(16).padStart(32, "b"),
		spanId: (number * 10 + i + 1).toString(16).padStart(16, "0"),
		name: `g${number}`,
		startTimeUnixNano: String(NOW_NS + BigInt(number)),
		endTimeUnixNano: String(NOW_NS + BigInt(number) + 1n),
	}));
	const resource = { attributes: [{ key: "service.name", value: { stringValue: `s${number % 7}` } }] };
	return { traces: { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }, arrivedMs };
}

/** Spans by group, of a whole directory. */
function spansByGroup(t: TestContext, directory: string): Map<string, number> {
	const scanner = openScanner(directory);
	t.after(() => scanner.close());
	const counts = new Map<string, number>();
	for (const { name } of scanner.scanSpans({ fromNs: timeNs(0n), toNs: timeNs(1n << 62n) }))
		counts.set(name, (counts.get(name) ?? 0) + 1);
	return counts;
}

test("a copy is a data directory itself: it verifies, is read and is written on", async (t) => {
	const store = openTestStore(t);
	for (let i = 0; i < 6; i++) store.append(group(i));
	for (let i = 6; i < 9; i++) store.append(group(i, NOW_MS + HOUR_MS));
	store.maintain();
	store.append(group(9, NOW_MS + HOUR_MS));
	const target = join(temporaryDirectory(t), "deep", "copy");
	const report = await backupDirectory(store.directory, target);
	assert.equal(report.files, 3);
	assert.ok(report.bytes > 0);
	assert.deepEqual(readdirSync(target).sort(), ["catalog.db", "windows"]);
	assert.deepEqual(
		verifyDirectory(target).windows.map(({ ok, spans }) => [ok, spans]),
		[
			[true, 60],
			[true, 40],
		],
	);
	assert.equal(spansByGroup(t, target).size, 10);
	const copy = openTestStore(t, target);
	copy.append(group(10, NOW_MS + HOUR_MS));
	copy.maintain();
	assert.equal(spansByGroup(t, target).size, 11);
	assert.equal(spansByGroup(t, store.directory).size, 10);
});

test("a copy made beside another process that writes has all that was acknowledged before, and whole groups only", async (t) => {
	const directory = temporaryDirectory(t);
	const kit = new URL("../../test/store/sqlite-directory.ts", import.meta.url).href;
	const script = `
		import { openTestStore, NOW_MS, HOUR_MS } from ${JSON.stringify(kit)};
		const group = ${group.toString().replaceAll("NOW_NS", `${NOW_NS}n`)};
		const store = openTestStore({ after() {} }, ${JSON.stringify(directory)});
		for (let i = 0; ; i++) {
			store.append(group(i, NOW_MS + Math.floor(i / 200) * HOUR_MS));
			if (i % 20 === 0) store.writer.maintain(NOW_MS);
			console.log(i);
			await new Promise((resolve) => setTimeout(resolve, 2));
		}`;
	const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	t.after(() => child.kill("SIGKILL"));
	let acknowledged = -1;
	createInterface({ input: child.stdout }).on("line", (line) => (acknowledged = Number(line)));
	for (let round = 0; round < 3; round++) {
		const wanted = acknowledged + 60;
		while (acknowledged < wanted && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
		assert.equal(child.exitCode, null);
		const before = acknowledged;
		const target = join(temporaryDirectory(t), "copy");
		await backupDirectory(directory, target);
		assert.deepEqual(
			verifyDirectory(target).windows.filter(({ ok }) => !ok),
			[],
		);
		const found = spansByGroup(t, target);
		for (let i = 0; i <= before; i++) assert.equal(found.get(`g${i}`), 10, `group ${i} of ${before}`);
		for (const [name, spans] of found) assert.equal(spans, 10, name);
	}
	child.kill("SIGKILL");
	await once(child, "exit");
});

test("windows that retention removed meanwhile are left out of the copy and its catalog", async (t) => {
	const store = openTestStore(t);
	store.append(group(0));
	store.append(group(1, NOW_MS + HOUR_MS));
	store.maintain();
	store.writer.close();
	const [first, second] = readdirSync(join(store.directory, "windows")).sort();
	rmSync(join(store.directory, "windows", first!));
	const target = join(temporaryDirectory(t), "copy");
	assert.equal((await backupDirectory(store.directory, target)).files, 2);
	const { windows, ok } = verifyDirectory(target);
	assert.deepEqual([ok, windows.map(({ name }) => `${name}.db`)], [true, [second]]);
});

test("a damaged window is copied as it is, so that it can yet be rescued", async (t) => {
	const store = openTestStore(t);
	store.append(group(0));
	store.append(group(1, NOW_MS + HOUR_MS));
	store.maintain();
	store.writer.close();
	const [first] = readdirSync(join(store.directory, "windows")).sort();
	const name = first!.slice(0, -3);
	const garbage = Buffer.alloc(50_000, 0x55);
	writeFileSync(windowPath(store.directory, name), garbage);
	const target = join(temporaryDirectory(t), "copy");
	await backupDirectory(store.directory, target);
	assert.deepEqual(readFileSync(windowPath(target, name)), garbage);
	assert.deepEqual(
		verifyDirectory(target).windows.map(({ ok }) => ok),
		[false, true],
	);
});

test("a backup writes over nothing, and one that fails leaves nothing behind", async (t) => {
	const store = openTestStore(t);
	store.append(group(0));
	const taken = temporaryDirectory(t);
	writeFileSync(join(taken, "mine"), "x");
	await assert.rejects(
		backupDirectory(store.directory, taken),
		(error) => error instanceof MeshscopeError && error.code === "invalid_argument",
	);
	assert.deepEqual(readdirSync(taken), ["mine"]);
	await assert.rejects(
		backupDirectory(taken, join(taken, "copy")),
		(error) => error instanceof MeshscopeError && error.code === "not_found",
	);
	store.writer.close();
	rmSync(join(store.directory, "catalog.db"));
	mkdirSync(join(store.directory, "catalog.db"));
	const target = join(temporaryDirectory(t), "copy");
	await assert.rejects(backupDirectory(store.directory, target));
	assert.equal(existsSync(target), false);
});

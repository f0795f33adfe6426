import assert from "node:assert/strict";
import {
	chmodSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { MeshscopeError } from "../../model/errors.ts";
import { eventually } from "../../test/mesh/control-kit.ts";
import { watchMeshFiles } from "./mesh-files.ts";
import { readPolicy } from "./read-policy.ts";
import { openStateFolder } from "./state-folder.ts";

function folderFor(t: TestContext): string {
	const folder = mkdtempSync(join(tmpdir(), "meshscope-mesh-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

const isUnsafe = (reason: RegExp) => (error: unknown) =>
	error instanceof MeshscopeError && error.code === "state_unsafe" && reason.test(error.message);

test("state files are for their owner alone, written whole, and listed without what is on its way", (t) => {
	const path = join(folderFor(t), "deep", "state");
	const state = openStateFolder(path);
	state.write("a.json", "1");
	state.write("a.json", "22");
	assert.equal(state.read("a.json"), "22");
	assert.equal(statSync(join(path, "a.json")).mode & 0o777, 0o600);
	assert.equal(statSync(path).mode & 0o777, 0o700);
	assert.deepEqual(readdirSync(path), ["a.json"]);
	writeFileSync(join(path, "a.json.123~"), "half");
	assert.deepEqual(state.list(), ["a.json"]);
	state.remove("a.json");
	state.remove("a.json");
	assert.equal(state.read("a.json"), undefined);
});

test("files and folders that others can use are refused with the command that mends it", (t) => {
	const path = join(folderFor(t), "state");
	const state = openStateFolder(path);
	state.write("authority.json", "{}");
	for (const mode of [0o644, 0o640, 0o620, 0o604]) {
		chmodSync(join(path, "authority.json"), mode);
		assert.throws(() => state.read("authority.json"), isUnsafe(/has mode 0\d+, .*chmod 600 .*authority\.json/));
	}
	chmodSync(join(path, "authority.json"), 0o600);
	assert.equal(state.read("authority.json"), "{}");
	chmodSync(path, 0o770);
	assert.throws(() => openStateFolder(path), isUnsafe(/chmod 700/));
});

test("no name leads out of the state folder", (t) => {
	const path = join(folderFor(t), "state");
	const state = openStateFolder(path);
	for (const name of ["../x", "/etc/passwd", "a/../../b", "", "."]) {
		assert.throws(() => state.read(name), isUnsafe(/no name of a state file/));
		assert.throws(() => state.write(name, ""), isUnsafe(/no name/));
		assert.throws(() => state.remove(name), isUnsafe(/no name/));
	}
});

test("a mesh file is seen to change however it is written, and only when it differs", async (t) => {
	const folder = folderFor(t);
	const path = join(folder, "mesh.yaml");
	writeFileSync(path, "a: 1\n");
	const files = watchMeshFiles(path);
	t.after(() => files.close());
	const seen: string[] = [];
	files.onChange(() => seen.push(files.read()[0]?.text ?? ""));
	const expect = async (text: string): Promise<void> => {
		await eventually(`${text} after ${seen.join()}`, () => seen.at(-1) === text, 5_000);
	};
	writeFileSync(path, "a: 2\n");
	await expect("a: 2\n");
	// As editors and deployments do: a file beside it, then a rename.
	writeFileSync(join(folder, ".mesh.yaml.swp"), "swap");
	writeFileSync(join(folder, "mesh.yaml.new"), "a: 3\n");
	renameSync(join(folder, "mesh.yaml.new"), path);
	await expect("a: 3\n");
	// Moved away, then written anew.
	renameSync(path, `${path}~`);
	await delay(150);
	writeFileSync(path, "a: 4\n");
	await expect("a: 4\n");
	const count = seen.length;
	writeFileSync(path, "a: 4\n");
	writeFileSync(join(folder, "other.txt"), "x");
	await delay(300);
	assert.equal(seen.length, count);
});

test("a file that is gone for good is told, as one that cannot be read", async (t) => {
	const path = join(folderFor(t), "mesh.yaml");
	writeFileSync(path, "a: 1\n");
	const files = watchMeshFiles(path);
	t.after(() => files.close());
	let told = 0;
	files.onChange(() => told++);
	unlinkSync(path);
	await eventually("a word", () => told === 1, 5_000);
	assert.throws(() => files.read(), /ENOENT/);
});

test("an exchanged link is a change (as a mounted ConfigMap makes it)", async (t) => {
	const folder = folderFor(t);
	for (const [name, text] of [
		["one", "a: 1\n"],
		["two", "a: 2\n"],
	] as const) {
		mkdirSync(join(folder, name));
		writeFileSync(join(folder, name, "mesh.yaml"), text);
	}
	symlinkSync("one", join(folder, "..data"));
	symlinkSync(join("..data", "mesh.yaml"), join(folder, "mesh.yaml"));
	const files = watchMeshFiles(join(folder, "mesh.yaml"));
	t.after(() => files.close());
	let text = "";
	files.onChange(() => (text = files.read()[0]?.text ?? ""));
	symlinkSync("two", join(folder, "..next"));
	renameSync(join(folder, "..next"), join(folder, "..data"));
	await eventually("the other text", () => text === "a: 2\n", 5_000);
});

test("of a directory every YAML file is read, in order of names, hidden ones and others not", async (t) => {
	const folder = folderFor(t);
	for (const name of ["b.yaml", "a.yml", ".c.yaml", "d.yaml~", "e.txt"]) writeFileSync(join(folder, name), name);
	const files = watchMeshFiles(folder);
	t.after(() => files.close());
	assert.deepEqual(
		files.read().map(({ name }) => name),
		["a.yml", "b.yaml"],
	);
	let told = 0;
	files.onChange(() => told++);
	writeFileSync(join(folder, "f.yaml"), "f");
	await eventually("the new file", () => told > 0, 5_000);
});

test("several files are one policy: what is there twice is a fault of the second, told once", () => {
	const text = (name: string) =>
		`apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n`;
	const sound = readPolicy([
		{ name: "a.yaml", text: text("one") },
		{ name: "b.yaml", text: text("two") },
	]);
	assert.deepEqual([sound.documents.length, sound.faults], [2, []]);
	const { faults } = readPolicy([
		{ name: "a.yaml", text: text("one") },
		{ name: "b.yaml", text: `\n${text("one")}` },
		{ name: "c.yaml", text: "spec: [" },
	]);
	assert.deepEqual([...new Set(faults.map(({ file }) => file))].toSorted(), ["b.yaml", "c.yaml"]);
	const twice = faults.filter(({ message }) => message.includes("is there already, in line 1 of a.yaml"));
	assert.equal(twice.length, 1);
});

test("a file that is emptied before it is written anew is not taken for an empty one", async (t) => {
	const path = join(folderFor(t), "mesh.yaml");
	writeFileSync(path, "a: 1\n");
	const files = watchMeshFiles(path, 60_000);
	t.after(() => files.close());
	const told: string[] = [];
	files.onChange(() => told.push(files.read()[0]!.text));
	writeFileSync(path, "");
	// Longer than a look takes to come; a machine that is slower still only proves less.
	await delay(300);
	writeFileSync(path, "a: 2\n");
	await eventually("the new text", () => told.length > 0);
	assert.deepEqual(told, ["a: 2\n"]);
});

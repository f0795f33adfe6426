/**
 * The architecture as one table, and the check that the tree keeps to it.
 *
 * A room is a folder or a file; the longest row that fits a path is its room. A room may import itself and what its row names.
 * Static, dynamic and type imports count, and so do the modules that a worker or a URL names.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { test } from "node:test";
import { moduleReferences } from "./architecture-scan.ts";

const ANYTHING = "anything";

const MAY_IMPORT: Readonly<Record<string, readonly string[] | typeof ANYTHING>> = {
	model: [],
	// The contract, and what every engine shares without knowing one.
	store: ["model"],
	"store/block": ["model", "store/store.ts"],
	"store/sqlite": ["model", "store/store.ts", "store/topology.ts", "store/topology-queries.ts", "store/block"],
	"store/memory": ["model", "store/store.ts", "store/topology.ts", "store/topology-queries.ts", "store/block"],
	"store/conformance": ["model", "store/store.ts", "store/topology.ts"],
	collector: ["model", "store/store.ts", "store/topology.ts"],
	"api/contract": ["model"],
	api: ["model", "store/store.ts", "store/topology.ts", "api/contract"],
	ui: ["model", "api/contract"],
	"proxy-shim": ["model"],
	"control-plane": ["model"],
	// The composition root and what stands outside the product.
	"main.ts": ANYTHING,
	cli: ANYTHING,
	test: ANYTHING,
	bench: ANYTHING,
	docs: ANYTHING,
	examples: ANYTHING,
	deploy: ANYTHING,
};

/** Packages that belong to some rooms only; any room may import the others. */
const PACKAGE_ROOMS: Readonly<Record<string, readonly string[]>> = {
	"better-sqlite3": ["store", "store/sqlite", "cli", "test", "bench"],
	react: ["ui"],
	"react-dom": ["ui"],
	recharts: ["ui"],
	vite: ["ui"],
	fastify: ["api", "cli", "test", "bench"],
	undici: ["proxy-shim", "test", "bench"],
	"@peculiar/x509": ["control-plane", "test"],
	commander: ["main.ts", "cli"],
};

/** Rooms that run in a browser too: no `node:` import, and `model` imports no package either. */
const BROWSER_ROOMS: readonly string[] = ["model", "api/contract", "ui"];

const MAX_LINES = 600;

interface Exception {
	/** A file's path. */
	readonly file: string;
	readonly rule: "imports" | "browser" | "lines" | "computed";
	readonly reason: string;
}

/** Each with its reason; one that is no longer needed fails the test. */
const EXCEPTIONS: readonly Exception[] = [
	{
		file: "model/mesh/policy/mesh-file.ts",
		rule: "imports",
		reason: "yaml is pure and runs in a browser; nobody should write a second YAML parser",
	},
	{ file: "ui/build.ts", rule: "browser", reason: "builds the page; runs in Node and is no part of the bundle" },
	{ file: "ui/bundle.ts", rule: "browser", reason: "builds the page; runs in Node and is no part of the bundle" },
	{ file: "ui/vite.config.ts", rule: "browser", reason: "Vite's configuration; runs in Node and is no part of the bundle" },
];

interface Problem {
	readonly file: string;
	readonly rule: Exception["rule"] | "name" | "folder" | "room";
	readonly message: string;
}

/** Tests and the entry files of workers compose: they may name engines. */
function composes(file: string): boolean {
	return isTest(file) || /(?:^|[/-])worker\.ts$/.test(file);
}

function isTest(file: string): boolean {
	return /\.test\.tsx?$/.test(file);
}

/** The longest row of `rows` that is the path or a folder above it. */
function roomOf(file: string, rows: readonly string[]): string | undefined {
	return rows.filter((row) => file === row || file.startsWith(`${row}/`)).toSorted((a, b) => b.length - a.length)[0];
}

const ROOMS = Object.keys(MAY_IMPORT);

function problemsOf(file: string, source: string): readonly Problem[] {
	const problems: Problem[] = [];
	const add = (rule: Problem["rule"], message: string): void => void problems.push({ file, rule, message });

	for (const part of dirname(file).split("/")) {
		if (/^(?:utils?|helpers?|common)$/.test(part)) add("folder", `${part}/ says nothing: name the folder after what it does`);
	}
	if (!file.split("/").every((part) => /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/.test(part))) {
		add("name", "file and folder names are kebab-case");
	}
	const lines = source.split("\n").length - (source.endsWith("\n") ? 1 : 0);
	if (lines > MAX_LINES) add("lines", `${lines} lines; ${MAX_LINES} is the most`);
	if (!/\.tsx?$/.test(file)) return problems;

	const room = roomOf(file, ROOMS);
	if (room === undefined) {
		add("room", "has no row in MAY_IMPORT");
		return problems;
	}
	for (const { specifier, kind, line } of moduleReferences(source)) {
		if (specifier === undefined) {
			if (!composes(file)) add("computed", `line ${line}: the path of a ${kind} is computed, so that nobody can check it`);
		} else if (specifier.startsWith(".")) {
			checkPath(posix.join(posix.dirname(file), specifier), line);
		} else if (kind !== "url") {
			checkPackage(specifier, line);
		}
	}
	return problems;

	function checkPath(target: string, line: number): void {
		const row = MAY_IMPORT[room!]!;
		if (row === ANYTHING || composes(file)) return;
		const targetRoom = roomOf(target, ROOMS);
		// A file outside of every room (package.json, an asset) belongs to no layer.
		if (targetRoom === undefined || targetRoom === room) return;
		// A row that names a folder opens what is in it, but not the rooms inside it that have rows of their own.
		if (row.some((opened) => opened === target || opened === targetRoom)) return;
		add("imports", `line ${line}: ${room} may not import ${target}`);
	}

	function checkPackage(specifier: string, line: number): void {
		if (isTest(file)) return;
		if (specifier.startsWith("node:")) {
			if (BROWSER_ROOMS.includes(room!))
				add("browser", `line ${line}: ${room} runs in a browser and may not import ${specifier}`);
			return;
		}
		const name = specifier
			.split("/")
			.slice(0, specifier.startsWith("@") ? 2 : 1)
			.join("/");
		if (room === "model") add("imports", `line ${line}: model imports nothing, so not ${name} either`);
		const allowed = PACKAGE_ROOMS[name];
		if (allowed !== undefined && !allowed.includes(room!))
			add("imports", `line ${line}: ${name} belongs to ${allowed.join(", ")}`);
	}
}

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([
	"node_modules",
	".git",
	".cache",
	"dist",
	"coverage",
	"fixtures",
	"meshscope-data",
]);
const root = join(import.meta.dirname, "..");
const files = globSync("**/*.{ts,tsx,css,sql}", { cwd: root, exclude: (name) => SKIPPED_FOLDERS.has(name) })
	.map((path) => path.replaceAll("\\", "/"))
	.toSorted();

function exceptionFor(problem: Problem): Exception | undefined {
	return EXCEPTIONS.find((exception) => exception.file === problem.file && exception.rule === problem.rule);
}

test("the tree keeps to the import table, its names and its sizes", () => {
	assert.ok(files.length > 20, `only ${files.length} files were read: the check looks in the wrong place`);
	const problems = files.flatMap((file) => problemsOf(file, readFileSync(join(root, file), "utf8")));
	const broken = problems.filter((problem) => exceptionFor(problem) === undefined);
	assert.deepEqual(
		broken.map((problem) => `${problem.file}: ${problem.message}`),
		[],
	);
	const idle = EXCEPTIONS.filter((exception) => !problems.some((problem) => exceptionFor(problem) === exception));
	assert.deepEqual(idle, [], "exceptions that are no longer needed");
});

test("every module that the tree imports or starts as a worker is there", () => {
	const missing: string[] = [];
	let read = 0;
	for (const file of files.filter((one) => /\.tsx?$/.test(one))) {
		for (const { specifier, kind } of moduleReferences(readFileSync(join(root, file), "utf8"))) {
			// The compiler checks imports; nobody else checks the path that a worker is started from.
			if (specifier === undefined || !specifier.startsWith(".") || (kind === "url" && !specifier.endsWith(".ts"))) continue;
			read++;
			if (globSync(posix.join(posix.dirname(file), specifier), { cwd: root }).length === 0)
				missing.push(`${file}: ${specifier}`);
		}
	}
	assert.ok(read > 0, "no import was read");
	assert.deepEqual(missing, []);
});

function rulesBroken(file: string, source: string): readonly string[] {
	return problemsOf(file, source).map((problem) => problem.rule);
}

test("a room may import itself and what its row names", () => {
	assert.deepEqual(rulesBroken("collector/a.ts", 'import { x } from "./pipeline/b.ts";'), []);
	assert.deepEqual(rulesBroken("collector/a.ts", 'import type { T } from "../store/store.ts";'), []);
	assert.deepEqual(rulesBroken("ui/views/graph/a.tsx", 'import { x } from "../../../api/contract/routes.ts";'), []);
	assert.deepEqual(rulesBroken("store/sqlite/a.ts", 'import { x } from "../block/format.ts";'), []);
	assert.deepEqual(rulesBroken("main.ts", 'const x = await import("./store/sqlite/writer.ts");'), []);
});

test("collector and api know neither an engine nor each other", () => {
	assert.deepEqual(rulesBroken("collector/a.ts", 'import { x } from "../store/sqlite/writer.ts";'), ["imports"]);
	assert.deepEqual(rulesBroken("collector/a.ts", 'import { x } from "../store/block/format.ts";'), ["imports"]);
	assert.deepEqual(rulesBroken("collector/a.ts", 'import { x } from "../store/sql-tables.ts";'), ["imports"]);
	assert.deepEqual(rulesBroken("api/a.ts", 'import { x } from "../collector/ingest.ts";'), ["imports"]);
	assert.deepEqual(rulesBroken("api/contract/a.ts", 'import { x } from "../server.ts";'), ["imports"]);
	assert.deepEqual(rulesBroken("store/memory/a.ts", 'import { x } from "../sqlite/a.ts";'), ["imports"]);
	assert.deepEqual(rulesBroken("ui/a.ts", 'import { x } from "../api/server.ts";'), ["imports"]);
});

test("type imports, re-exports, dynamic imports, workers and import types count as imports", () => {
	const sources = [
		'import type { Writer } from "../store/sqlite/writer.ts";',
		'export * from "../store/sqlite/writer.ts";',
		'import "../store/sqlite/writer.ts";',
		'const x = () => import("../store/sqlite/writer.ts");',
		'type X = typeof import("../store/sqlite/writer.ts");',
		'const w = new Worker(new URL("../store/sqlite/writer.ts", import.meta.url));',
		'const p = import.meta.resolve("../store/sqlite/writer.ts");',
		'import {\n\ta,\n\tb,\n} from "../store/sqlite/writer.ts";',
		"const y = require('../store/sqlite/writer.ts');",
		"const z = () => import(`../store/sqlite/writer.ts`);",
	];
	for (const source of sources) assert.deepEqual(rulesBroken("api/a.ts", source), ["imports"], source);
});

test("an import whose path is computed is refused", () => {
	assert.deepEqual(rulesBroken("api/a.ts", "const x = await import(`../store/${engine}/writer.ts`);"), ["computed"]);
	assert.deepEqual(rulesBroken("api/a.ts", "const x = await import(path);"), ["computed"]);
});

test("only tests and the entry files of workers name engines", () => {
	const source = 'import { x } from "../../store/sqlite/writer.ts";';
	assert.deepEqual(rulesBroken("collector/pipeline/writer-worker.ts", source), []);
	assert.deepEqual(rulesBroken("collector/pipeline/pipeline.test.ts", source), []);
	assert.deepEqual(rulesBroken("collector/pipeline/workers.ts", source), ["imports"]);
});

test("model, api/contract and ui run in a browser, and model imports no package", () => {
	assert.deepEqual(rulesBroken("model/a.ts", 'import { x } from "node:crypto";'), ["browser"]);
	assert.deepEqual(rulesBroken("api/contract/a.ts", 'import { x } from "node:crypto";'), ["browser"]);
	assert.deepEqual(rulesBroken("ui/a.tsx", 'import { x } from "node:crypto";'), ["browser"]);
	assert.deepEqual(rulesBroken("model/a.ts", 'import { z } from "zod";'), ["imports"]);
	assert.deepEqual(rulesBroken("model/a.test.ts", 'import { test } from "node:test"; import fc from "fast-check";'), []);
	assert.deepEqual(rulesBroken("api/contract/a.ts", 'import { z } from "zod";'), []);
});

test("a package that belongs to some rooms stays there", () => {
	assert.deepEqual(rulesBroken("api/a.ts", 'import Database from "better-sqlite3";'), ["imports"]);
	assert.deepEqual(rulesBroken("store/sqlite/a.ts", 'import Database from "better-sqlite3";'), []);
	assert.deepEqual(rulesBroken("api/a.ts", 'import { x } from "react-dom/client";'), ["imports"]);
});

test("folders that say nothing, names that are not kebab-case, long files and unknown rooms are refused", () => {
	assert.deepEqual(rulesBroken("collector/utils/a.ts", ""), ["folder"]);
	assert.deepEqual(rulesBroken("ui/common/a.css", ""), ["folder"]);
	assert.deepEqual(rulesBroken("ui/views/TraceView.tsx", ""), ["name"]);
	assert.deepEqual(rulesBroken("store/sqlite/schema/window_blocks.sql", ""), ["name"]);
	assert.deepEqual(rulesBroken("api/a.ts", "\n".repeat(600)), []);
	assert.deepEqual(rulesBroken("api/a.ts", "\n".repeat(601)), ["lines"]);
	assert.deepEqual(rulesBroken("somewhere/a.ts", ""), ["room"]);
});

test("what stands in comments, strings and patterns is no import", () => {
	const sources = [
		'// import { x } from "../store/sqlite/a.ts";',
		'/* import("../store/sqlite/a.ts") */',
		"const s = 'import { x } from \"../store/sqlite/a.ts\"';",
		'const t = `import { x } from "../store/sqlite/a.ts"`;',
		'const u = `${x} from "../store/sqlite/a.ts"`;',
		'const r = /from "..\\/store\\/sqlite\\/a.ts"/;',
		'const q = [/["\'`]/, "x"]; const v = Array.from("../store/sqlite/a.ts");',
	];
	for (const source of sources) assert.deepEqual(rulesBroken("api/a.ts", source), [], source);
});

test("an import behind odd literals is still seen", () => {
	const after = '; import "../store/sqlite/a.ts";';
	const sources = [
		'const a = "it\'s \\" quoted"',
		'const b = `a ${c ? `b ${{ d: 1 }.d}` : "}"} e`',
		"const c = /[/\"`']/g",
		"const d = 4 / 2 / 1",
		"const e = (1 + 2) / 3 /* half / */",
	];
	for (const source of sources) assert.deepEqual(rulesBroken("api/a.ts", source + after), ["imports"], source);
	assert.deepEqual(rulesBroken("ui/a.tsx", 'const a = <p>don\'t</p>;\nimport { x } from "../api/server.ts";'), ["imports"]);
});

test("a reference carries the line it stands on", () => {
	const [reference] = moduleReferences('/* a\nb */\nconst t = `x\n${y}\nz`;\nimport { x } from "./a.ts";');
	assert.deepEqual(reference, { kind: "import", specifier: "./a.ts", line: 6 });
});

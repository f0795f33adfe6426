/**
 * Which test files there are, which of them a run takes, and how: pure functions over relative paths, so that
 * the runner's own choices can be tested.
 */
import { globSync } from "node:fs";

export interface TestFile {
	/** Relative to the root, with forward slashes. */
	readonly path: string;
	/** Files that load the machine, count processes or measure run alone; heavy ones only beside their like. */
	readonly company: "any" | "heavy" | "none";
	/** Stands beside the code it tests. */
	readonly unit: boolean;
	readonly timeoutMs: number;
}

export interface RunOptions {
	/** Only tests beside the code, no static checks. */
	readonly unitOnly: boolean;
	/** Soak, chaos and fuzz with their long counts: sets MESHSCOPE_LONG=1 for the tests. */
	readonly long: boolean;
	/** Substrings of file paths and of the names of static checks; none takes everything. */
	readonly filters: readonly string[];
}

const UNIT_TIMEOUT_MS = 120_000;
const ALONE_TIMEOUT_MS = 420_000;
const LONG_TIMEOUT_MS = 4 * 3_600_000;

export function parseRunArguments(args: readonly string[], env: Readonly<Record<string, string | undefined>>): RunOptions {
	const unknown = args.find((arg) => arg.startsWith("-") && arg !== "--unit" && arg !== "--long");
	if (unknown !== undefined) throw new Error(`unknown option ${unknown}; there are --unit, --long and file filters`);
	return {
		unitOnly: args.includes("--unit"),
		long: args.includes("--long") || env["MESHSCOPE_LONG"] === "1",
		filters: args.filter((arg) => !arg.startsWith("-")),
	};
}

/** Paths of every test file of the tree, sorted. */
export function findTestFiles(root: string): readonly string[] {
	return globSync("**/*.test.{ts,tsx}", { cwd: root, exclude: (name) => SKIPPED_FOLDERS.has(name) })
		.map(forwardSlashes)
		.toSorted();
}

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set(["node_modules", ".git", ".cache", "dist", "coverage"]);

function forwardSlashes(path: string): string {
	return path.replaceAll("\\", "/");
}

export function planRun(paths: readonly string[], options: RunOptions): readonly TestFile[] {
	return paths
		.map((path) => classify(path, options.long))
		.filter((file) => !options.unitOnly || file.unit)
		.filter((file) => takes(options.filters, file.path));
}

export function takes(filters: readonly string[], name: string): boolean {
	return filters.length === 0 || filters.some((filter) => name.includes(filter));
}

/** Peers on loopback and waits for conditions: neither figures nor time limits that a neighbour could spoil. */
const SHARES_THE_MACHINE = /^test\/(?:conformance|mechanisms|mesh|proxy)\//;
/** Pages over canned answers, senders whose spans are waited for, crashes between long waits: they bear one another, but are too heavy for the rest. */
const HEAVY =
	/^test\/(?:e2e\/(?!demo|flows|every-page|live-)|interop\/(?!envoy|shim)|chaos\/(?:failpoints|topology-crash|torn-wal|triple-sending)\.)/;

function inFolderOfTests(path: string): boolean {
	return /^test\/[^/]+\//.test(path);
}

function classify(path: string, long: boolean): TestFile {
	const inTest = path.startsWith("test/");
	const browser = path.includes(".browser.") || path.startsWith("ui/e2e/");
	const isAlone = (inFolderOfTests(path) && !SHARES_THE_MACHINE.test(path)) || path.startsWith("bench/") || browser;
	return {
		path,
		company: HEAVY.test(path) ? "heavy" : isAlone ? "none" : "any",
		unit: !inTest && !isAlone,
		timeoutMs: long ? LONG_TIMEOUT_MS : isAlone ? ALONE_TIMEOUT_MS : UNIT_TIMEOUT_MS,
	};
}

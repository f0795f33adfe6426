/** `meshscope sql`: one statement, or a prompt for many, over the virtual tables of the store. */
import { createInterface } from "node:readline/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MeshscopeError } from "../model/errors.ts";
import { SQL_ARGUMENTS, SQL_TABLES } from "../store/sql-tables.ts";
import { withDataOptions } from "./command.ts";
import type { DefineCommand } from "./command.ts";
import { EXIT_OK, UsageError } from "./context.ts";
import type { CliContext } from "./context.ts";
import { resultLines } from "./sql/output.ts";
import type { OutputFormat } from "./sql/output.ts";
import type { SqlSession } from "./sql/session.ts";

interface SqlFlags {
	readonly data?: string;
	readonly config?: string;
	readonly json?: boolean;
	readonly csv?: boolean;
	readonly table?: boolean;
	readonly tables?: boolean;
}

const HELP = `
Tables: spans, span_attributes, logs, metric_points, edges, mtls (columns: meshscope sql --tables).
Time and service arguments skip what lies outside: FROM spans('now-1h', 'now', 'cart'), or
WHERE from_time = 'now-1h'. Conditions on other columns are checked row by row; for a join, gather
each side once: WITH a AS MATERIALIZED (SELECT … FROM spans('now-1h')) …

Examples:
  $ meshscope sql "SELECT service, count(*) AS spans, max(duration_ns) FROM spans('now-1h') GROUP BY 1"
  $ meshscope sql --csv "SELECT trace_id FROM spans('now-1d') WHERE attributes ->> 'http.status_code' = 503"
  $ meshscope sql "SELECT source, target, requests, p95_ms FROM edges('now-1h') WHERE mtls <> 'mutual_tls' ORDER BY 3 DESC"
  $ meshscope sql "SELECT source_principal, target_principal, sum(count) FROM mtls('now-1d') WHERE evidence = 'pair' GROUP BY 1, 2"
`;

export const define: DefineCommand = (command, context, finish) => {
	command
		.argument("[statement]", "one SELECT; without it, statements are read from the terminal")
		.option("--json", "one JSON object a row")
		.option("--csv", "CSV with a header line")
		.option("--table", "aligned columns (default)")
		.option("--tables", "list tables and columns");
	withDataOptions(command).addHelpText("after", HELP);
	command.action(async (statement: string | undefined, flags: SqlFlags) => finish(await runSql(statement, flags, context)));
};

async function runSql(statement: string | undefined, flags: SqlFlags, context: CliContext): Promise<number> {
	if (flags.tables === true) {
		context.stdout.write(tablesText());
		return EXIT_OK;
	}
	const format = formatOf(flags);
	if (statement === undefined && !context.stdinIsTty)
		throw new UsageError("give a statement, or run it at a terminal for a prompt");
	const { openScanner } = await import("./store-access.ts");
	const { openSqlSession } = await import("./sql/session.ts");
	const scanner = await openScanner(flags, context);
	try {
		const session = openSqlSession(scanner, context.nowMs);
		try {
			if (statement === undefined) await prompt(session, format, context);
			else await answer(session, statement, format, context);
			return EXIT_OK;
		} finally {
			session.close();
		}
	} finally {
		scanner.close();
	}
}

function formatOf(flags: SqlFlags): OutputFormat {
	const chosen = (["json", "csv", "table"] as const).filter((format) => flags[format] === true);
	if (chosen.length > 1) throw new UsageError(`--${chosen.join(" and --")} exclude each other`);
	return chosen[0] ?? "table";
}

/** Output is gathered into chunks, since a write a row costs a system call a row. */
const CHUNK_CHARACTERS = 64 * 1024;

async function answer(session: SqlSession, statement: string, format: OutputFormat, context: CliContext): Promise<void> {
	let chunk = "";
	try {
		for (const line of resultLines(session.query(statement), format)) {
			chunk += line;
			if (chunk.length < CHUNK_CHARACTERS) continue;
			context.stdout.write(chunk);
			chunk = "";
			// Lets a reader that went away (`| head`) end the scan, and Ctrl-C be heard.
			await nextTurn();
		}
	} finally {
		if (chunk !== "") context.stdout.write(chunk);
	}
}

/** Statements end with a semicolon and may take several lines; a fault ends the statement, not the session. */
async function prompt(session: SqlSession, format: OutputFormat, context: CliContext): Promise<void> {
	const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: "sql> " });
	context.stdout.write("read-only SQL; .tables lists columns, .quit leaves\n");
	let pending = "";
	lines.prompt();
	for await (const line of lines) {
		const word = line.trim();
		if (pending === "" && (word === ".quit" || word === ".exit")) break;
		if (pending === "" && word === ".tables") context.stdout.write(tablesText());
		else pending += `${line}\n`;
		if (pending.trim().endsWith(";")) {
			await answer(session, pending, format, context).catch((error: unknown) => {
				if (!(error instanceof MeshscopeError)) throw error;
				context.stderr.write(`error: ${error.message}\n`);
			});
			pending = "";
		}
		if (pending.trim() === "") pending = "";
		lines.setPrompt(pending === "" ? "sql> " : "...> ");
		lines.prompt();
	}
	lines.close();
}

export function tablesText(): string {
	const row = (name: string, type: string, help: string): string => `  ${name.padEnd(17)} ${type.padEnd(8)} ${help}\n`;
	let text = "";
	for (const table of SQL_TABLES) {
		text += `${table.name}: ${table.help}\n`;
		for (const column of table.columns) text += row(column.name, column.type, column.help);
		text += "\n";
	}
	text += "arguments of every table, as FROM spans('now-1h', 'now', 'cart') or WHERE from_time = 'now-1h'\n";
	for (const argument of SQL_ARGUMENTS) text += row(argument.name, argument.type, argument.help);
	return text;
}

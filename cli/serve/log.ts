/**
 * The server's log: JSON lines on stderr for machines, one plain line for a person at a terminal. Standard output is kept for the
 * ready line alone.
 */
import pino from "pino";
import type { TextSink } from "../context.ts";
import type { LogLevel } from "../settings/schema.ts";
import { printable } from "../terminal/text-width.ts";

export type Log = pino.Logger;

const STANDARD_KEYS = new Set(["level", "time", "msg"]);

export function createLog(level: LogLevel, stderr: TextSink): Log {
	const options: pino.LoggerOptions = {
		level,
		// Process and host stand in every line otherwise, for one process that has one host.
		base: null,
		formatters: { level: (label) => ({ level: label }) },
		timestamp: pino.stdTimeFunctions.isoTime,
	};
	const write = (line: string): void => void stderr.write(stderr.isTTY === true ? plainLine(line) : line);
	return pino(options, { write });
}

/** `12:00:03.123 warn  refused receiver=zipkin code=overloaded`. */
export function plainLine(json: string): string {
	const entry = JSON.parse(json) as Record<string, unknown>;
	const clock = new Date(String(entry["time"]));
	const time = `${clock.toTimeString().slice(0, 8)}.${String(clock.getMilliseconds()).padStart(3, "0")}`;
	let line = `${time} ${String(entry["level"]).padEnd(5)} ${printable(String(entry["msg"] ?? ""))}`;
	for (const [key, value] of Object.entries(entry)) {
		if (!STANDARD_KEYS.has(key))
			line += ` ${printable(key)}=${printable(typeof value === "string" ? value : JSON.stringify(value))}`;
	}
	return `${line}\n`;
}

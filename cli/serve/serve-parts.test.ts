import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandError } from "../context.ts";
import { loadSettings } from "../settings.ts";
import { bindFailure } from "./bind-failure.ts";
import { createLog, plainLine } from "./log.ts";

const { settings } = loadSettings({
	flags: {},
	leftover: [],
	env: {},
	readFile: () => {
		throw Object.assign(new Error("none"), { code: "ENOENT" });
	},
});

test("a port in use is named by the flag that sets it", () => {
	const inUse = Object.assign(new Error("listen EADDRINUSE"), { code: "EADDRINUSE", port: 4318, address: "127.0.0.1" });
	for (const error of [inUse, new Error("the receiver cannot listen", { cause: inUse })]) {
		const failure = bindFailure(error, settings);
		assert.ok(failure instanceof CommandError);
		assert.match(failure.message, /^--otlp-http 127\.0\.0\.1:4318: the port is in use/);
	}
});

test("errors that are none of a socket stay what they are", () => {
	const error = new Error("disk");
	assert.equal(bindFailure(error, settings), error);
	const foreign = Object.assign(new Error("x"), { code: "EADDRINUSE", port: 1 });
	assert.equal(bindFailure(foreign, settings), foreign);
});

test("the log is JSON for machines, and a plain line that nobody can forge for a person", () => {
	const lines: string[] = [];
	createLog("info", { write: (text) => lines.push(text) }).warn({ reason: "a\nb" }, "refused");
	const entry = JSON.parse(lines[0]!) as Record<string, unknown>;
	assert.equal(entry["level"], "warn");
	assert.equal(entry["msg"], "refused");
	assert.equal(entry["reason"], "a\nb");
	assert.match(plainLine(lines[0]!), /^\d\d:\d\d:\d\d\.\d{3} warn {2}refused reason=a\\x0ab\n$/);
});

test("levels below the one that was set are not written", () => {
	const lines: string[] = [];
	const log = createLog("error", { write: (text) => lines.push(text) });
	log.info({}, "no");
	log.error({}, "yes");
	assert.equal(lines.length, 1);
});

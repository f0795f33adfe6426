import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loadDataDirectory, loadSettings, SettingsError } from "./settings.ts";
import type { LoadedSettings, SettingsInput } from "./settings.ts";
import { OPTIONS } from "./settings/options.ts";
import { settingsTable } from "./settings/reference.ts";

interface World {
	readonly flags?: Record<string, unknown>;
	readonly leftover?: readonly string[];
	readonly env?: Record<string, string>;
	readonly files?: Record<string, string>;
}

function inputOf(world: World): SettingsInput {
	return {
		flags: world.flags ?? {},
		leftover: world.leftover ?? [],
		env: world.env ?? {},
		readFile: (path) => {
			const text = world.files?.[path];
			if (text === undefined) throw Object.assign(new Error("no such file"), { code: "ENOENT" });
			return text;
		},
	};
}

const load = (world: World): LoadedSettings => loadSettings(inputOf(world));

function faultsOf(world: World): string[] {
	try {
		load(world);
	} catch (error) {
		if (error instanceof SettingsError) return error.message.split("\n");
		throw error;
	}
	return [];
}

test("without any source the defaults of the table hold", () => {
	const { settings } = load({});
	assert.deepEqual(settings.http, { host: "127.0.0.1", port: 4300 });
	assert.deepEqual(settings.otlpGrpc, { host: "127.0.0.1", port: 4317 });
	assert.deepEqual(settings.otlpHttp, { host: "127.0.0.1", port: 4318 });
	assert.deepEqual(settings.zipkin, { host: "127.0.0.1", port: 9411 });
	assert.equal(settings.retentionMs, 7 * 86_400_000);
	assert.equal(settings.maxDiskBytes, 10e9);
	assert.equal(settings.windowMs, 3_600_000);
	assert.equal(settings.maxPayloadBytes, 64 * 2 ** 20);
	assert.equal(settings.selfTelemetry, undefined);
	assert.deepEqual(settings.ingestTokens, []);
});

test("file, environment and flags rise in this order", () => {
	const files = { "meshscope.yaml": "retention: 1d\nreaders: 3\nwindow: 30m\n" };
	const env = { MESHSCOPE_RETENTION: "2d", MESHSCOPE_READERS: "4" };
	const { settings } = load({ files, env, flags: { retention: "3d" } });
	assert.equal(settings.retentionMs, 3 * 86_400_000);
	assert.equal(settings.readers, 4);
	assert.equal(settings.windowMs, 1_800_000);
});

test("every fault of every source is reported at once with its place", () => {
	const files = { "meshscope.yaml": "# ours\nretention: soon\nretenton: 7d\nzipkin: [a, b]\nreaders:\nmax-disk: {a: 1}\n" };
	const env = { MESHSCOPE_MAX_PAYLOAD: "big", MESHSCOPE_OTLP_GRCP: "x" };
	const faults = faultsOf({ files, env, flags: { http: "http://localhost:1", readers: "0" }, leftover: ["--otlp-htp=3"] });
	assert.deepEqual(faults, [
		"meshscope.yaml:3 retenton: unknown setting; did you mean retention?",
		"meshscope.yaml:4 zipkin: takes one value, not a list",
		"meshscope.yaml:5 readers: has no value; remove the line or give one",
		"meshscope.yaml:6 max-disk: takes a plain value, not a map",
		"MESHSCOPE_OTLP_GRCP: unknown variable; did you mean MESHSCOPE_OTLP_GRPC?",
		"--otlp-htp: unknown flag; did you mean --otlp-http?",
		'meshscope.yaml:2 retention: "soon" is not a duration; write it like 7d, 12h or 30m',
		'MESHSCOPE_MAX_PAYLOAD: "big" is not a size; write it like 10GB or 64MiB',
		'--http: "http://localhost:1" has a scheme; write HOST:PORT, like 127.0.0.1:4317 or [::1]:4317',
		"--readers: must lie between 1 and 64",
	]);
});

test("a fault is reported even where a higher source overrides the value", () => {
	assert.deepEqual(faultsOf({ env: { MESHSCOPE_WINDOW: "x" }, flags: { window: "1h" } }), [
		'MESHSCOPE_WINDOW: "x" is not a duration; write it like 7d, 12h or 30m',
	]);
});

test("broken YAML and doubled keys name their line", () => {
	assert.match(
		faultsOf({ files: { "meshscope.yaml": "http: 127.0.0.1:1\nhttp: 127.0.0.1:2\n" } })[0]!,
		/^meshscope\.yaml:2: .*unique/,
	);
	assert.match(faultsOf({ files: { "meshscope.yaml": "a: [1\nb: 2\n" } })[0]!, /^meshscope\.yaml:\d: /);
	assert.match(faultsOf({ files: { "meshscope.yaml": "- a\n" } })[0]!, /must be a map/);
});

test("an empty settings file is a settings file", () => {
	assert.equal(load({ files: { "meshscope.yaml": "# nothing yet\n" } }).settings.readers, 2);
});

test("a file that was named must exist, the default one need not", () => {
	assert.deepEqual(faultsOf({ flags: { config: "other.yaml" } }), ["other.yaml: cannot be read (no such file)"]);
	assert.equal(load({ files: { "other.yaml": "readers: 5" }, flags: { config: "other.yaml" } }).settings.readers, 5);
	assert.equal(load({ files: { "other.yaml": "readers: 6" }, env: { MESHSCOPE_CONFIG: "other.yaml" } }).settings.readers, 6);
});

test("another address than loopback is refused without a token or client certificates", () => {
	const open = { http: "0.0.0.0:4300", "otlp-grpc": ":4317" };
	const faults = faultsOf({ flags: open });
	assert.equal(faults.length, 2);
	assert.match(faults[0]!, /^--http: 0\.0\.0\.0:4300 can be reached from other machines, so it needs --read-token/);
	assert.match(faults[1]!, /^--otlp-grpc: \[::\]:4317 can be reached .* needs --ingest-token .*--insecure-bind/);
	assert.deepEqual(faultsOf({ flags: { ...open, "insecure-bind": true } }), []);
	assert.deepEqual(faultsOf({ flags: { ...open, "ingest-token": ["in-secret"], "read-token": ["out-secret"] } }), []);
	assert.equal(
		faultsOf({ flags: { ...open, "ingest-token": ["in-secret"] } }).length,
		1,
		"one kind of token does not open both",
	);
	assert.equal(faultsOf({ flags: { http: "myhost:1" } }).length, 1, "a name may resolve to anything");
	assert.deepEqual(faultsOf({ flags: { http: "[::1]:1", zipkin: "127.9.9.9:2", "otlp-http": "localhost:3" } }), []);
});

test("tokens come from flags, variables and files, and never into a message or print", () => {
	const files = { "tokens.txt": "# senders\nfirst-token\n\nsecond-token\n", "bad.txt": "ok-token-1\nhas space\n" };
	const loaded = load({
		files,
		env: { MESHSCOPE_INGEST_TOKEN: "third-token, fourth-token" },
		flags: { "ingest-token-file": ["tokens.txt"] },
	});
	assert.deepEqual(loaded.settings.ingestTokens, ["third-token", "fourth-token", "first-token", "second-token"]);
	assert.match(loaded.print(), /^ingest-token: \["\*\*\*", "\*\*\*"\] +# MESHSCOPE_INGEST_TOKEN$/m);
	assert.doesNotMatch(loaded.print(), /third-token|first-token/);
	const faults = faultsOf({ files, flags: { "ingest-token": ["bad token"], "read-token-file": ["bad.txt", "gone.txt"] } });
	assert.deepEqual(faults, [
		"--ingest-token: must be at least 8 visible ASCII characters without spaces",
		"--read-token-file: bad.txt:2 must be at least 8 visible ASCII characters without spaces",
		"--read-token-file: gone.txt cannot be read (no such file)",
	]);
});

test("certificate and key are given together and must be PEM", () => {
	assert.deepEqual(faultsOf({ flags: { "tls-client-ca": "ca.pem" }, files: { "ca.pem": "x" } }), [
		"--tls-client-ca: needs --tls-cert as well",
		"--tls-client-ca: needs --tls-key as well",
		"--tls-client-ca: holds no PEM certificate",
	]);
	assert.match(
		faultsOf({ flags: { "tls-cert": "c.pem" }, files: {} }).join("\n"),
		/needs --tls-key.*\n--tls-cert: c\.pem cannot be read/,
	);
});

test("settings that contradict each other are refused", () => {
	assert.match(faultsOf({ flags: { zipkin: "127.0.0.1:4300" } })[0]!, /--zipkin: port 4300 is already that of --http/);
	assert.deepEqual(faultsOf({ flags: { zipkin: "127.0.0.1:0", http: "127.0.0.1:0" } }), []);
	assert.match(faultsOf({ flags: { "queue-bytes": "1MiB" } })[0]!, /--queue-bytes: must not be smaller than --max-payload/);
	assert.match(faultsOf({ flags: { "max-record": "65MiB" } })[0]!, /--max-record: must not be larger/);
	assert.match(faultsOf({ flags: { window: "2d", retention: "1d" } })[0]!, /--retention: must not be shorter than --window/);
});

test("receivers are switched off by word, in YAML by false as well", () => {
	const { settings } = load({
		files: { "meshscope.yaml": "zipkin: off\notlp-http: false\n" },
		env: { MESHSCOPE_OTLP_GRPC: "off" },
	});
	assert.equal(settings.zipkin, undefined);
	assert.equal(settings.otlpHttp, undefined);
	assert.equal(settings.otlpGrpc, undefined);
	assert.equal(faultsOf({ flags: { http: "off" } }).length, 1);
});

test("variables of other standards count below our own, and blank ones not at all", () => {
	const standard = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4317", OTEL_LOG_LEVEL: "WARN", MESHSCOPE_READERS: " " };
	const { settings } = load({ env: standard });
	assert.equal(settings.selfTelemetry, "http://collector:4317");
	assert.equal(settings.logLevel, "warn");
	assert.equal(settings.readers, 2);
	assert.equal(load({ env: { ...standard, MESHSCOPE_LOG_LEVEL: "error" } }).settings.logLevel, "error");
	assert.equal(load({ env: { ...standard, OTEL_SDK_DISABLED: "true" } }).settings.selfTelemetry, undefined);
});

test("variables that Kubernetes sets for a Service called meshscope are no settings", () => {
	const env = {
		MESHSCOPE_SERVICE_HOST: "10.0.0.1",
		MESHSCOPE_SERVICE_PORT: "4300",
		MESHSCOPE_SERVICE_PORT_OTLP_GRPC: "4317",
		MESHSCOPE_PORT: "tcp://10.0.0.1:4300",
		MESHSCOPE_PORT_4300_TCP_ADDR: "10.0.0.1",
	};
	assert.deepEqual(faultsOf({ env }), []);
});

test("numbers in YAML mean what stands in the file", () => {
	const { settings } = load({
		files: { "meshscope.yaml": "http: 4301\nmax-attributes: 0064\nallow-host: [a.example, b.example]\n" },
	});
	assert.deepEqual(settings.http, { host: "127.0.0.1", port: 4301 });
	assert.equal(settings.maxAttributes, 64);
	assert.deepEqual(settings.allowHosts, ["a.example", "b.example"]);
});

test("settings are frozen through and through", () => {
	const { settings } = load({});
	assert.throws(() => Object.assign(settings.http, { port: 1 }), TypeError);
	assert.throws(() => Object.assign(settings, { readers: 1 }), TypeError);
});

test("what is printed can be read back as settings file", () => {
	const first = load({ flags: { zipkin: "off", "allow-host": ["a.example"], http: "[::1]:4300", retention: "36h" } });
	const again = load({ files: { "meshscope.yaml": first.print() } });
	assert.deepEqual(again.settings, first.settings);
	for (const spec of OPTIONS) assert.match(first.print(), new RegExp(`^(?:# )?${spec.name}: `, "m"));
});

test("the data directory alone ignores faults of other settings", () => {
	const files = { "meshscope.yaml": "data: /srv/mesh\nretention: never\n" };
	assert.equal(loadDataDirectory(inputOf({ files })), "/srv/mesh");
	assert.equal(loadDataDirectory(inputOf({ files, env: { MESHSCOPE_DATA: "/env" }, flags: { data: "/flag" } })), "/flag");
});

test("the README's table of settings is the table of settings", () => {
	const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
	assert.equal(/<!-- settings -->\n([\s\S]*?)<!-- \/settings -->/.exec(readme)?.[1], settingsTable());
});

test("the example settings file is sound and changes nothing", () => {
	const text = readFileSync(new URL("../examples/meshscope.yaml", import.meta.url), "utf8");
	assert.deepEqual(load({ files: { "meshscope.yaml": text } }).settings, load({}).settings);
	const uncommented = text.replaceAll(/^# {3}/gm, "").replace("http: 127.0.0.1:4300", "http: 0.0.0.0:4300");
	const faults = faultsOf({ files: { "meshscope.yaml": uncommented } });
	assert.ok(
		faults.every((fault) => fault.includes("cannot be read") || fault.includes("can be reached from other machines")),
		faults.join("\n"),
	);
});

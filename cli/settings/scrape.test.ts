import assert from "node:assert/strict";
import { test } from "node:test";
import { loadSettings, SettingsError } from "../settings.ts";
import type { Settings } from "../settings.ts";
import { parseScrape } from "./scrape.ts";

function load(yaml: string, flags: Record<string, unknown> = {}): Settings {
	return loadSettings({ flags, leftover: [], env: {}, readFile: () => yaml }).settings;
}

function problemOf(text: string): string {
	const parsed = parseScrape(text);
	return parsed.ok ? "" : parsed.problem;
}

test("a URL is a target named by its host", () => {
	const [target] = load("", { scrape: ["http://10.0.0.7:15020/stats/prometheus"] }).scrape;
	assert.equal(target?.url, "http://10.0.0.7:15020/stats/prometheus");
	assert.deepEqual([target.intervalMs, target.timeoutMs], [5_000, 4_000]);
	assert.deepEqual(target.attributes, { "service.name": "10.0.0.7", "service.instance.id": "10.0.0.7:15020" });
});

test("the file gives targets with intervals, labels and workloads of their own", () => {
	const { scrape } = load(`scrape:
  interval: 10s
  timeout: 2s
  relabel: ^(?<workload>[^.]+)[.](?<namespace>[^.]+)[.]svc
  targets:
    - http://web.emojivoto.svc:4191/metrics
    - url: http://10.0.0.8:4191/metrics
      interval: 5s
      service: voting-svc
      namespace: emojivoto
      workload: voting
      labels: {zone: a, rack: 7}
`);
	assert.deepEqual(
		scrape.map(({ intervalMs, timeoutMs }) => [intervalMs, timeoutMs]),
		[
			[10_000, 2_000],
			[5_000, 2_000],
		],
	);
	assert.deepEqual(
		scrape.map(({ attributes }) => attributes),
		[
			{
				"service.name": "web",
				"service.instance.id": "web.emojivoto.svc:4191",
				"k8s.namespace.name": "emojivoto",
				"k8s.deployment.name": "web",
			},
			{
				"service.name": "voting-svc",
				"service.instance.id": "10.0.0.8:4191",
				"k8s.namespace.name": "emojivoto",
				"k8s.deployment.name": "voting",
				zone: "a",
				rack: "7",
			},
		],
	);
});

test("what cannot be a target is refused, and a password is not repeated", () => {
	assert.match(problemOf("ftp://x/"), /needs a URL with http or https/);
	assert.match(problemOf("http://user:hunter22@x/"), /holds credentials/);
	assert.doesNotMatch(problemOf("http://user:hunter22@x/"), /hunter22/);
	assert.match(problemOf("http://169.254.169.254/latest"), /is refused/);
	assert.match(problemOf("http://0xa9fea9fe/latest"), /is refused/);
	assert.match(problemOf("{not json"), /is no map and no URL/);
	assert.match(problemOf('{"targets":[]}'), /targets: holds no target/);
	assert.match(problemOf('{"url":"http://x/","intervall":"5s"}'), /intervall/);
	assert.match(problemOf('{"url":"http://x/","interval":"5s","timeout":"6s"}'), /timeout must not be longer/);
	assert.match(problemOf('{"url":"http://x/","interval":"5ms"}'), /interval: must lie between 1s and 1h/);
	assert.match(problemOf('{"url":"http://x/","relabel":"("}'), /relabel: is no regular expression/);
	assert.match(problemOf('{"url":"http://x/","certFile":"c.pem"}'), /given together/);
	assert.throws(() => load("scrape: [http://x/m, 'http://x/m?a=b']"), SettingsError, "the same target twice");
});

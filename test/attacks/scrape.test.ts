/** What a hostile target, or a name that leads elsewhere, may try with the scraper. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { decodeMetrics } from "../../collector/decode/metrics.ts";
import { ACCEPTED, FakeSink } from "../../collector/receivers/test-kit.ts";
import { isRefusedAddress, isRefusedHost } from "../../collector/scrape/address-guard.ts";
import { startScraper } from "../../collector/scrape/scraper.ts";
import type { Resolve } from "../../collector/scrape/fetch-text.ts";
import type { ScrapeTargetStatus } from "../../model/status.ts";

const MAX_BYTES = 1_000_000;

interface Visit {
	readonly status: ScrapeTargetStatus;
	readonly sink: FakeSink;
	readonly requests: number;
}

/** One scrape of a server that answers so. */
async function visit(listener: RequestListener, url = "http://HOST/metrics", resolve?: Resolve): Promise<Visit> {
	let requests = 0;
	const server = createServer((request, response) => {
		requests++;
		listener(request, response);
	});
	await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
	const { port } = server.address() as AddressInfo;
	const sink = new FakeSink();
	sink.answer = () => ACCEPTED;
	const scraper = startScraper({
		targets: [
			{
				url: url.replace("HOST", `127.0.0.1:${port}`).replace("PORT", String(port)),
				intervalMs: 60_000,
				timeoutMs: 3_000,
				attributes: { "service.name": "x" },
			},
		],
		maxBytes: MAX_BYTES,
		maxConcurrent: 1,
		sink,
		readFile: () => "",
		now: Date.now,
		random: () => 0,
		log: () => undefined,
		...(resolve === undefined ? {} : { resolve }),
	});
	try {
		for (let i = 0; i < 500 && scraper.status()[0]!.scrapes === 0; i++) await new Promise((done) => setTimeout(done, 10));
		return { status: scraper.status()[0]!, sink, requests };
	} finally {
		await scraper.close();
		server.closeAllConnections();
		server.close();
		assert.equal(sink.heldBytes, 0, "every reservation was given back");
	}
}

test("a target on loopback is scraped, plain and compressed, and its samples are stored as sent", async () => {
	const text = '# TYPE istio_requests_total counter\nistio_requests_total{reporter="source"} 5\n';
	for (const encoding of ["identity", "gzip"]) {
		const { status, sink } = await visit((_, response) => {
			response.setHeader("content-encoding", encoding);
			response.end(encoding === "gzip" ? gzipSync(text) : text);
		});
		assert.deepEqual([status.up, status.samples, status.error], [true, 1, undefined]);
		const { batch } = decodeMetrics(sink.onlyPayload(), DEFAULT_LIMITS);
		assert.deepEqual(
			batch.series.map(({ name, type, monotonic, service }) => [name, type, monotonic, service]),
			[
				["istio_requests_total", 1, true, "x"],
				["meshscope.scrape.samples", 0, false, "x"],
			],
		);
		assert.equal(batch.points[0]?.intValue, 5n);
	}
});

test("a redirect is not followed", async () => {
	const { status, requests, sink } = await visit((_, response) =>
		response.writeHead(302, { location: "http://169.254.169.254/" }).end(),
	);
	assert.deepEqual([status.up, requests, sink.batches.length], [false, 1, 0]);
	assert.match(status.error!, /redirects are not followed/);
});

test("metadata and link-local addresses are refused in every writing", () => {
	for (const address of [
		"169.254.169.254",
		"169.254.0.1",
		"::ffff:169.254.169.254",
		"::ffff:a9fe:a9fe",
		"64:ff9b::a9fe:a9fe",
		"2002:a9fe:a9fe::1",
		"::169.254.169.254",
		"fe80::1",
		"fe80::1%eth0",
		"febf::1",
		"fd00:ec2::254",
		"100.100.100.200",
		"168.63.129.16",
		"0.0.0.0",
		"::",
		"224.0.0.1",
		"ff02::1",
		"not an address",
	])
		assert.equal(isRefusedAddress(address), true, address);
	for (const address of ["127.0.0.1", "::1", "10.0.0.7", "192.168.1.1", "fd00::7", "8.8.8.8", "2001:db8::1", "::ffff:10.0.0.7"])
		assert.equal(isRefusedAddress(address), false, address);
	for (const host of ["metadata.google.internal", "METADATA.google.internal.", "instance-data", "169.254.169.254", "fe80::1"])
		assert.equal(isRefusedHost(host), true, host);
	for (const url of ["http://0xa9fea9fe/", "http://2852039166/", "http://169.254.43518/", "http://0251.0376.0251.0376/"])
		assert.equal(isRefusedHost(new URL(url).hostname), true, url);
});

test("a name that leads to a refused address is not asked, whatever else it leads to", async () => {
	const resolve: Resolve = () =>
		Promise.resolve([
			{ address: "127.0.0.1", family: 4 },
			{ address: "169.254.169.254", family: 4 },
		]);
	const { status, requests } = await visit(
		(_, response) => response.end("a 1\n"),
		"http://target.example:PORT/metrics",
		resolve,
	);
	assert.deepEqual([status.up, requests], [false, 0]);
	assert.match(status.error!, /target\.example leads to 169\.254\.169\.254, which is refused/);
});

test("the connection goes to the address that was checked: the name is asked once", async () => {
	let asked = 0;
	const resolve: Resolve = () => Promise.resolve([{ address: asked++ === 0 ? "127.0.0.1" : "169.254.169.254", family: 4 }]);
	const { status, requests } = await visit(
		(_, response) => response.end("a 1\n"),
		"http://target.example:PORT/metrics",
		resolve,
	);
	assert.deepEqual([status.up, requests, asked], [true, 1, 1]);
});

test("bodies without end, bombs and endless headers are cut off", async () => {
	const endless = await visit((_, response) => {
		const more = (): void => {
			while (!response.destroyed && response.write(Buffer.alloc(65_536, "a")));
		};
		response.on("drain", more);
		more();
	});
	assert.match(endless.status.error!, /more than 1000000 bytes/);
	// Made beforehand: the target shares this thread, and its time is measured.
	const packed = gzipSync(Buffer.alloc(50_000_000));
	const bomb = await visit((_, response) => {
		response.setHeader("content-encoding", "gzip");
		response.end(packed);
	});
	assert.match(bomb.status.error!, /more than 1000000 bytes/);
	const header = await visit((_, response) => response.setHeader("x", "y".repeat(100_000)).end());
	assert.equal(header.status.up, false);
});

test("a target that says nothing, or a byte at a time, is given up at its timeout", async () => {
	for (const listener of [
		() => undefined,
		(_: unknown, response: { write(text: string): unknown; destroyed: boolean }) => {
			const timer = setInterval(() => (response.destroyed ? clearInterval(timer) : response.write("a")), 100);
		},
	]) {
		const { status, sink } = await visit(listener as RequestListener);
		assert.match(status.error!, /no whole answer within 3000 ms/);
		assert.equal(sink.batches.length, 0);
	}
});

test("an answer that is cut off, no sound gzip, or no 200 gives nothing", async () => {
	const cut = await visit((_, response) => {
		response.setHeader("content-length", 100);
		response.write("a 1\n");
		setTimeout(() => response.destroy(), 50);
	});
	const unsound = await visit((_, response) => response.setHeader("content-encoding", "gzip").end("a 1\n"));
	const failed = await visit((_, response) => response.writeHead(500).end("a 1\n"));
	for (const { status, sink } of [cut, unsound, failed]) {
		assert.equal(status.up, false);
		assert.equal(sink.batches.length, 0);
	}
});

/**
 * Runs one attack against receivers in a process of their own, and checks what must hold after every attack: that process still runs,
 * has had no uncaught error, has grown by less than 200 MB, holds nothing, and serves the next request on every port.
 */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { ALLOCATOR_VARIABLES, HEAP_GROWTH } from "../../cli/serve/allocator.ts";
import { PROTOBUF, callGrpc, callHttp, frame } from "../../collector/receivers/test-kit.ts";
import type { ReceiverSettings } from "../../collector/receivers/settings.ts";
import type { FromTarget, TargetReport } from "./receivers-target.ts";

export const MIB = 1024 * 1024;
const MAX_GROWTH_BYTES = 200e6;

export interface Target {
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
	readonly zipkin: string;
	report(): Promise<TargetReport>;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Returns the last report. @param takeMs how long the sink takes for a batch */
export async function attack(
	settings: Partial<ReceiverSettings>,
	run: (target: Target) => Promise<void>,
	takeMs = 5,
): Promise<TargetReport> {
	const child = fork(new URL("receivers-target.ts", import.meta.url), [JSON.stringify(settings), String(takeMs)], {
		stdio: ["ignore", "inherit", "inherit", "ipc"],
		// Memory as the server has it.
		execArgv: [HEAP_GROWTH],
		env: { ...process.env, ...ALLOCATOR_VARIABLES },
	});
	const next = (): Promise<FromTarget> =>
		new Promise((resolve, reject) => {
			const onExit = (code: number | null, signal: string | null): void =>
				reject(new Error(`the target ended: ${code ?? signal}`));
			child.once("exit", onExit);
			child.once("message", (message: FromTarget) => {
				child.off("exit", onExit);
				resolve(message);
			});
		});
	try {
		const ready = await next();
		assert.equal(ready.kind, "ready");
		const { otlpGrpc = "", otlpHttp = "", zipkin = "" } = ready.kind === "ready" ? ready.addresses : {};
		const report = async (): Promise<TargetReport> => {
			const answer = next();
			child.send("report");
			const message = await answer;
			assert.ok(message.kind === "report");
			return message;
		};
		const target = { otlpGrpc, otlpHttp, zipkin, report };
		const token = settings.ingestTokens?.[0];
		const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
		const isServed = async (): Promise<void> => {
			assert.equal(
				(await callHttp({ address: otlpHttp, headers: { ...PROTOBUF, ...headers }, body: Buffer.alloc(MIB) })).status,
				200,
			);
			assert.equal((await callHttp({ address: zipkin, path: "/api/v2/spans", headers, body: "[]" })).status, 202);
			assert.equal((await callGrpc(otlpGrpc, { headers, chunks: [frame(Buffer.alloc(MIB))] })).status, 0);
		};
		// Warm, so that growth is the attack's and not that of lazily compiled code.
		for (let i = 0; i < 5; i++) await isServed();
		const before = await report();
		await run(target);
		await isServed();
		let after = await report();
		const growth = Math.max(after.maxRssBytes, after.rssBytes) - before.rssBytes;
		assert.ok(growth < MAX_GROWTH_BYTES, `grew by ${(growth / 1e6).toFixed(0)} MB`);
		assert.deepEqual(after.uncaught, []);
		for (let i = 0; i < 100 && after.heldBytes > 0; i++) {
			await pause(50);
			after = await report();
		}
		assert.equal(after.heldBytes, 0, "every reservation was given back");
		return after;
	} finally {
		child.kill("SIGKILL");
	}
}

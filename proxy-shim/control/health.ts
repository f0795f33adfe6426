/**
 * Whether the app behind the proxy answers: a TCP connection, or an HTTP path. Told only when it changes, and unhealthy only after
 * several failures in a row, so that one slow answer takes no instance out.
 */
import { connect } from "node:net";
import { get } from "../http/node-http.ts";
import type { Timers } from "./timers.ts";

export type HealthTarget =
	| { readonly kind: "tcp"; readonly host: string; readonly port: number }
	/** Any status from 200 to 399 is healthy (as a kubelet's probe). */
	| { readonly kind: "http"; readonly host: string; readonly port: number; readonly path: string };

export interface HealthCheckOptions {
	readonly target: HealthTarget;
	readonly intervalMs: number;
	readonly timeoutMs: number;
	/** Failures in a row until it is unhealthy; the first check alone decides how it begins. */
	readonly failures: number;
	readonly timers: Timers;
	readonly onChange: (healthy: boolean, reason: string) => void;
	/** Undefined: it answered. */
	readonly probe?: (target: HealthTarget, timeoutMs: number) => Promise<string | undefined>;
}

export interface HealthCheck {
	close(): void;
}

export function startHealthCheck(options: HealthCheckOptions): HealthCheck {
	const { target, intervalMs, timeoutMs, timers, onChange, probe = probeTarget } = options;
	let isHealthy: boolean | undefined;
	let failed = 0;
	let isClosed = false;
	let cancel: (() => void) | undefined;
	void look();

	return {
		close() {
			isClosed = true;
			cancel?.();
		},
	};

	async function look(): Promise<void> {
		const problem = await probe(target, timeoutMs).catch((error: unknown) => String(error));
		if (isClosed) return;
		failed = problem === undefined ? 0 : failed + 1;
		const now = problem === undefined || (isHealthy === true && failed < options.failures);
		if (now !== isHealthy) {
			isHealthy = now;
			onChange(now, problem ?? "");
		}
		cancel = timers.setTimer(() => void look(), intervalMs);
	}
}

/** Why the target is not healthy; undefined where it is. */
export function probeTarget(target: HealthTarget, timeoutMs: number): Promise<string | undefined> {
	return target.kind === "tcp" ? probeTcp(target.host, target.port, timeoutMs) : probeHttp(target, timeoutMs);
}

function probeTcp(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
	return new Promise((resolve) => {
		const socket = connect({ host, port, timeout: timeoutMs });
		const finish = (problem?: string): void => {
			socket.destroy();
			resolve(problem);
		};
		socket.once("connect", () => finish());
		socket.once("timeout", () => finish(`port ${port} did not take a connection within ${timeoutMs} ms`));
		socket.on("error", (error: NodeJS.ErrnoException) => finish(`port ${port}: ${error.code ?? error.message}`));
	});
}

function probeHttp(target: Extract<HealthTarget, { kind: "http" }>, timeoutMs: number): Promise<string | undefined> {
	const { host, port, path } = target;
	return new Promise((resolve) => {
		const request = get({ host, port, path, agent: false, headers: { "user-agent": "meshscope-health" } }, (response) => {
			// The body may be endless; the status is all that is asked for.
			response.on("error", () => undefined);
			const status = response.statusCode ?? 0;
			response.destroy();
			finish(status >= 200 && status < 400 ? undefined : `GET ${path} answered ${status}`);
		});
		const timer = setTimeout(() => {
			request.destroy();
			finish(`GET ${path} did not answer within ${timeoutMs} ms`);
		}, timeoutMs);
		request.on("error", (error: NodeJS.ErrnoException) => finish(`GET ${path}: ${error.code ?? error.message}`));
		const finish = (problem: string | undefined): void => {
			clearTimeout(timer);
			resolve(problem);
		};
	});
}

/**
 * One exchange with a cluster: attempts, retries, time limits, the answer on its way back. Nothing is retried once the caller has the
 * head of a response, and an answer that breaks off breaks the caller's off too: it never looks whole.
 */
import { formatGrpcTimeout } from "../resilience/grpc.ts";
import { backoffMs, shouldRetry } from "../resilience/retry.ts";
import { applyHeaders } from "../routing/headers.ts";
import { unknownTls } from "../tls/hop-tls.ts";
import { splice } from "../tcp/splice.ts";
import type { UpstreamCall, UpstreamFailure, UpstreamRequest } from "../upstream/call.ts";
import { isRefusal } from "../upstream/cluster.ts";
import type { Attempt } from "../upstream/cluster.ts";
import { dedicatedCall } from "../upstream/dedicated-call.ts";
import type { UpgradeSink } from "../upstream/dedicated-call.ts";
import type { AttemptOutcome, Host } from "../upstream/host.ts";
import type { Downstream } from "./downstream.ts";
import { MessageCounter, parseGrpcStatus } from "./grpc-messages.ts";
import { sortResponseHeaders } from "./hop-headers.ts";
import { replyLocally } from "./local-reply.ts";
import { headerValue, withHeader } from "./message.ts";
import type { HeaderList } from "./message.ts";
import type { ForwardParts, ForwardPlan } from "./forward-plan.ts";
import type { HopRecord, ResponseFlag } from "./record.ts";
import { verdictOf } from "./verdict.ts";

/** A connection that died idle costs no retry of the policy's, but it does not go on for ever. */
const MAX_STALE_RETRIES = 2;
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export function forward(down: Downstream, record: HopRecord, plan: ForwardPlan, parts: ForwardParts): void {
	const { head, body } = down;
	const startMs = parts.nowMs();
	const tried = new Set<Host>();
	const requestCounter = head.isGrpc ? new MessageCounter() : undefined;
	const responseCounter = head.isGrpc ? new MessageCounter() : undefined;
	let { cluster } = plan;
	let retries = 0;
	let staleRetries = 0;
	let isRetrying = false;
	let current: { attempt: Attempt; call: UpstreamCall | undefined; over: boolean } | undefined;
	let committed = false;
	let endedWithHead = false;
	let over = false;
	let tryTimer: NodeJS.Timeout | undefined;
	let backoffTimer: NodeJS.Timeout | undefined;
	let deadlineTimer: NodeJS.Timeout | undefined;

	record.upstreamCluster = plan.clusterLabel;
	record.lbPolicy = cluster.config.loadBalancer.kind;
	record.subset = cluster.config.subset;
	if (requestCounter !== undefined) body?.chunkWatchers.push((chunk) => requestCounter.add(chunk));
	if (plan.retries.attempts === 0 && plan.fallback === undefined && body !== undefined && !isReplaySafe()) body.stopKeeping();

	down.events = {
		onDrain: () => current?.call?.resume(),
		onGone() {
			record.flag("DC");
			endAttempt(undefined, true);
			settle();
		},
		onFinished: () => settle(),
	};
	startDeadline();
	attempt();

	/** Envoy's: the time limit of a route begins when the request is complete; a gRPC deadline runs from the beginning. */
	function startDeadline(): void {
		const limits = [plan.grpcTimeoutMs, plan.timeoutMs > 0 ? plan.timeoutMs : undefined].filter((ms) => ms !== undefined);
		if (limits.length === 0) return;
		const arm = (ms: number): void => {
			if (!over) deadlineTimer = setTimeout(onDeadline, Math.max(0, ms));
		};
		if (head.isGrpc || body === undefined || body.complete) arm(Math.min(...limits));
		else body.completionWatchers.push(() => arm(plan.timeoutMs));
	}

	function remainingMs(): number | undefined {
		const whole = Math.min(plan.grpcTimeoutMs ?? Infinity, plan.timeoutMs > 0 ? plan.timeoutMs : Infinity);
		return whole === Infinity ? undefined : whole - (parts.nowMs() - startMs);
	}

	function attempt(): void {
		if (over || committed) return;
		const started = cluster.begin({ hash: plan.hash, tried });
		record.breakerState = cluster.breakerState();
		if (isRefusal(started)) {
			record.flag(started.flag);
			giveUp(
				503,
				started.reason === "no_healthy_host" ? "no healthy upstream" : `upstream refused: ${started.reason}`,
				true,
			);
			return;
		}
		const mine = { attempt: started, call: undefined as UpstreamCall | undefined, over: false };
		current = mine;
		tried.add(started.host);
		parts.onAttempt(started.host, cluster);
		if (record.start.direction === "outbound") record.tls = unknownTls("");
		if (plan.retries.perTryTimeoutMs > 0) tryTimer = setTimeout(onTryTimeout, plan.retries.perTryTimeoutMs);
		const request = requestOf();
		const sink = sinkOf(mine);
		mine.call =
			head.upgrade === ""
				? cluster.pool(started.host, plan.protocol).call(request, sink)
				: dedicatedCall(request, sink, {
						connect: cluster.connect(started.host, "http/1.1"),
						limits: cluster.poolLimits,
					});
	}

	function requestOf(): UpstreamRequest {
		let { headers } = plan;
		const left = plan.grpcTimeoutMs === undefined ? undefined : remainingMs();
		if (left !== undefined) headers = withHeader(headers, "grpc-timeout", formatGrpcTimeout(Math.max(1, left)));
		const { authority, scheme, path } = plan;
		return { method: head.method, scheme, authority, path, headers, body };
	}

	function sinkOf(mine: NonNullable<typeof current>): UpgradeSink {
		let sentAtMs = 0;
		let status = 0;
		let grpcStatus: number | undefined;
		return {
			onConnection(facts) {
				sentAtMs = parts.nowMs();
				if (record.start.direction === "outbound") {
					record.tls = facts.tls;
					record.peer = { ...record.peer, address: facts.address, port: facts.port };
				}
			},
			onInformational(informationalStatus, headers) {
				if (!mine.over && !committed) down.informational(informationalStatus, headers);
			},
			onHead(receivedStatus, reason, headers, isEnd) {
				if (mine.over) return;
				status = receivedStatus;
				record.upstreamServiceTimeMs = parts.nowMs() - sentAtMs;
				grpcStatus = head.isGrpc ? parseGrpcStatus(headerValue(headers, "grpc-status")) : undefined;
				if (retriesInsteadOf({ kind: "response", status, grpcStatus })) return;
				commit(status, reason, headers, isEnd);
			},
			onData(chunk) {
				if (mine.over) return true;
				responseCounter?.add(chunk);
				return down.write(chunk);
			},
			onEnd(trailers) {
				if (mine.over) return;
				grpcStatus ??= head.isGrpc ? parseGrpcStatus(headerValue(trailers, "grpc-status")) : undefined;
				record.grpcStatus = grpcStatus;
				endAttempt({ kind: "response", status, grpcStatus }, false);
				clearTimers();
				if (!endedWithHead) down.end(trailers);
			},
			onFailure(failure) {
				if (!mine.over) onFailure(failure);
			},
			onUpgrade(rawHeaders, socket, upgradeHead) {
				if (mine.over) {
					socket.destroy();
					return;
				}
				committed = true;
				clearTimers();
				record.status = 101;
				const own = sortResponseHeaders(rawHeaders);
				const caller = down.switchProtocols(["connection", "upgrade", "upgrade", head.upgrade, ...own]);
				if (upgradeHead.length > 0) socket.unshift(upgradeHead);
				splice(caller, socket, cluster.config.limits.idleTimeoutMs, (counts) => {
					record.requestBytes += counts.toUpstream;
					record.responseBytes += counts.toDownstream;
					endAttempt({ kind: "response", status: 101, grpcStatus: undefined }, false);
					settle();
				});
			},
		};
	}

	function commit(status: number, reason: string, received: HeaderList, isEnd: boolean): void {
		let headers = received;
		for (const changes of plan.responseChanges) headers = applyHeaders(changes, headers);
		if (plan.responseHeaders.length > 0) headers = [...headers, ...plan.responseHeaders];
		record.status = status;
		endedWithHead = isEnd;
		try {
			down.respond(status, reason, headers, isEnd);
		} catch {
			// The upstream's fields are none that this caller could be sent.
			endAttempt({ kind: "local", reason: "reset" }, true);
			record.flag("UPE");
			giveUp(502, "upstream connect error or disconnect/reset before headers. reset reason: protocol error", true);
			return;
		}
		committed = true;
		clearTimeout(tryTimer);
		body?.stopKeeping();
	}

	/** True when the attempt is over and something else takes its place. */
	function retriesInsteadOf(outcome: AttemptOutcome): boolean {
		if (!shouldRetry(plan.retries, outcome, head.isGrpc)) return false;
		const exhausted = retries >= plan.retries.attempts;
		if (!exhausted && retry(outcome)) return true;
		if (exhausted && plan.retries.attempts > 0) record.flag("URX");
		if (plan.fallback === undefined || plan.retries.attempts === 0) return false;
		endAttempt(outcome, true);
		giveUp(503, "retries used up", true);
		return true;
	}

	function retry(outcome: AttemptOutcome): boolean {
		if (body !== undefined && !body.replayable) return false;
		// The one before it has made room by now.
		if (isRetrying) cluster.endRetry();
		isRetrying = cluster.tryRetry();
		if (!isRetrying) {
			record.flag("UO");
			return false;
		}
		endAttempt(outcome, true);
		retries++;
		record.retries = retries;
		const waitMs = backoffMs(retries, plan.retries.backoffBaseMs, plan.retries.backoffMaxMs, parts.random);
		backoffTimer = setTimeout(attempt, waitMs);
		return true;
	}

	function onFailure(failure: UpstreamFailure): void {
		if (record.start.direction === "outbound" && failure.tlsReason !== "") {
			record.tls = unknownTls(failure.tlsReason);
			record.failedHandshakes++;
		}
		if (committed) {
			breakOff(failure.reason === "protocol" ? "UPE" : "UC");
			return;
		}
		if (failure.reason === "pending_overflow") {
			endAttempt(undefined, true);
			record.flag("UO");
			giveUp(503, "upstream refused: max_pending_requests", true);
			return;
		}
		if (failure.reason === "protocol" && failure.unprocessed) {
			endAttempt(undefined, true);
			record.flag("DPE");
			giveUp(400, failure.message, false);
			return;
		}
		// A connection that the peer closed while it was idle says nothing of the peer, and the request was not worked on.
		const isStale = failure.onReused && failure.reason === "reset" && (failure.unprocessed || isReplaySafe());
		if (isStale && staleRetries < MAX_STALE_RETRIES && (body === undefined || body.replayable)) {
			staleRetries++;
			endAttempt(undefined, true);
			setImmediate(attempt);
			return;
		}
		const verdict = verdictOf(failure);
		if (retriesInsteadOf(verdict.outcome)) return;
		endAttempt(verdict.outcome, true);
		record.flag(verdict.flag);
		giveUp(verdict.status, verdict.message, true);
	}

	function onTryTimeout(): void {
		if (over || committed) return;
		const outcome: AttemptOutcome = { kind: "local", reason: "timeout" };
		if (retriesInsteadOf(outcome)) return;
		endAttempt(outcome, true);
		record.flag("UT");
		giveUp(504, "upstream per try timeout", true);
	}

	function onDeadline(): void {
		if (over) return;
		record.flag("UT");
		if (committed) breakOff("UT", { kind: "local", reason: "timeout" });
		else {
			endAttempt({ kind: "local", reason: "timeout" }, true);
			giveUp(504, "upstream request timeout", true);
		}
	}

	function breakOff(flag: ResponseFlag, outcome: AttemptOutcome = { kind: "local", reason: "reset" }): void {
		record.flag(flag);
		endAttempt(outcome, true);
		down.reset("error");
		settle();
	}

	function giveUp(status: number, message: string, mayFallBack: boolean): void {
		clearTimeout(backoffTimer);
		const { fallback } = plan;
		if (mayFallBack && fallback !== undefined && !record.fellBack) {
			record.fellBack = true;
			if (fallback.kind === "answer") {
				finishLocally(() => replyLocally(down, record, fallback));
				return;
			}
			const next = parts.clusterNamed(fallback.cluster);
			const replayable = body === undefined || body.replayable;
			if (next !== undefined && replayable && !record.flags.includes("UT")) {
				if (isRetrying) cluster.endRetry();
				isRetrying = false;
				cluster = next;
				retries = plan.retries.attempts;
				attempt();
				return;
			}
			record.fellBack = false;
		}
		const overloaded = record.flags.includes("UO") ? ["x-envoy-overloaded", "true"] : [];
		finishLocally(() => replyLocally(down, record, { status, body: message, headers: overloaded }));
	}

	function finishLocally(reply: () => void): void {
		clearTimers();
		committed = true;
		body?.stopKeeping();
		reply();
	}

	function endAttempt(outcome: AttemptOutcome | undefined, cancels: boolean): void {
		clearTimeout(tryTimer);
		const ended = current;
		if (ended === undefined || ended.over) return;
		ended.over = true;
		if (cancels) ended.call?.cancel();
		ended.attempt.end(outcome);
	}

	/** The caller has its answer, or is gone. */
	function settle(): void {
		if (over) return;
		over = true;
		clearTimers();
		if (isRetrying) cluster.endRetry();
		isRetrying = false;
		if (body !== undefined) {
			record.requestBytes += body.bytes;
			body.stopKeeping();
		}
		record.responseBytes = Math.max(record.responseBytes, down.bytesSent);
		record.requestMessages = requestCounter?.count ?? 0;
		record.responseMessages = responseCounter?.count ?? 0;
		record.finish(parts.sink);
	}

	function clearTimers(): void {
		clearTimeout(tryTimer);
		clearTimeout(backoffTimer);
		clearTimeout(deadlineTimer);
	}

	/** Sending it twice has the effect of sending it once (RFC 9110 section 9.2.2). */
	function isReplaySafe(): boolean {
		return IDEMPOTENT.has(head.method);
	}
}

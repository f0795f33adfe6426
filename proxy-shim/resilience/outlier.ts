/**
 * Outlier detection as Envoy documents it: a host that fails again and again, or more than its siblings, gets no requests for a
 * while, and for longer each time. One detector a cluster. It owns `Host.outlier` and `Host.ejectedUntilMs`; when to sweep is the
 * caller's.
 *
 * A list of hosts is never changed in place, so what is eligible is worked out once a list and change, not once a request.
 */
import type { OutlierDetection } from "../../model/mesh/proxy-config.ts";
import type { ProxyEvent } from "../telemetry/hop.ts";
import type { AttemptOutcome, Host } from "../upstream/host.ts";
import { httpStatusOfGrpc } from "./grpc.ts";

export interface OutlierDetector {
	/** What an attempt came to. May eject the host at once. */
	report(host: Host, outcome: AttemptOutcome, nowMs: number): void;
	/** To be called every `intervalMs`: lets hosts return whose time is over, and ejects by success rate. */
	sweep(hosts: readonly Host[], nowMs: number): void;
	/**
	 * The hosts that are not ejected; all of them below `minHealthPercent`. The same array for as long as nothing changed. An ejected
	 * host returns with a sweep, not by the clock alone.
	 */
	eligible(hosts: readonly Host[], nowMs: number): readonly Host[];
}

export type EjectionReason =
	| "consecutive_5xx"
	| "consecutive_gateway_failure"
	| "consecutive_local_origin_failure"
	| "success_rate";

export function createOutlierDetector(
	settings: OutlierDetection,
	{ clusterName, onEvent }: { readonly clusterName: string; readonly onEvent: (event: ProxyEvent) => void },
): OutlierDetector {
	/** The cluster's hosts as last told; shares are of these. */
	let members: readonly Host[] = [];
	let eligibleOfMembers: readonly Host[] | undefined;

	function learn(hosts: readonly Host[]): void {
		if (hosts === members) return;
		members = hosts;
		eligibleOfMembers = undefined;
	}

	function eject(host: Host, reason: EjectionReason, nowMs: number): void {
		const ejected = countEjected(members);
		const mayEject =
			settings.maxEjectionPercent > 0 &&
			(ejected === 0 || (ejected + 1) * 100 <= Math.min(100, settings.maxEjectionPercent) * members.length);
		if (!mayEject) return;
		const longestMs = Math.max(settings.baseEjectionTimeMs, settings.maxEjectionTimeMs);
		// Counts no further than the longest time needs, so that a host that recovers is soon forgiven.
		if (host.outlier.ejections * settings.baseEjectionTimeMs < longestMs + settings.baseEjectionTimeMs) {
			host.outlier.ejections++;
		}
		host.ejectedUntilMs = nowMs + Math.min(longestMs, settings.baseEjectionTimeMs * host.outlier.ejections);
		eligibleOfMembers = undefined;
		onEvent({ kind: "ejected", cluster: clusterName, endpoint: host.endpoint.id, reason });
	}

	function readmit(host: Host): void {
		host.ejectedUntilMs = 0;
		// Else a counter that stood one below its threshold would eject it again with the first failure.
		host.outlier.consecutive5xx = 0;
		host.outlier.consecutiveGatewayErrors = 0;
		host.outlier.consecutiveLocalOriginFailures = 0;
		eligibleOfMembers = undefined;
		onEvent({ kind: "returned", cluster: clusterName, endpoint: host.endpoint.id, reason: "ejection_time_over" });
	}

	/** A threshold was met: the counter starts anew whether or not the host could be ejected. */
	function onConsecutive(host: Host, reason: EjectionReason, nowMs: number): void {
		if (host.ejectedUntilMs === 0) eject(host, reason, nowMs);
	}

	function reportStatus(host: Host, status: number, nowMs: number): void {
		const { outlier } = host;
		outlier.total++;
		if (status < 500 || status > 599) {
			outlier.successes++;
			outlier.consecutive5xx = 0;
			outlier.consecutiveGatewayErrors = 0;
			return;
		}
		if (status >= 502 && status <= 504) {
			if (++outlier.consecutiveGatewayErrors === settings.consecutiveGatewayErrors) {
				outlier.consecutiveGatewayErrors = 0;
				onConsecutive(host, "consecutive_gateway_failure", nowMs);
			}
		} else outlier.consecutiveGatewayErrors = 0;
		if (++outlier.consecutive5xx === settings.consecutive5xx) {
			outlier.consecutive5xx = 0;
			onConsecutive(host, "consecutive_5xx", nowMs);
		}
	}

	function ejectBySuccessRate(nowMs: number): void {
		const { successRateMinimumHosts, successRateRequestVolume, successRateStdevFactor } = settings;
		if (successRateMinimumHosts <= 0 || members.length < successRateMinimumHosts) return;
		const measured = members.filter(
			(host) => host.ejectedUntilMs === 0 && host.outlier.total > 0 && host.outlier.total >= successRateRequestVolume,
		);
		if (measured.length === 0 || measured.length < successRateMinimumHosts) return;
		const rates = measured.map(({ outlier }) => (outlier.successes * 100) / outlier.total);
		const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
		const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
		const threshold = mean - successRateStdevFactor * Math.sqrt(variance);
		for (const [index, host] of measured.entries()) if (rates[index]! < threshold) eject(host, "success_rate", nowMs);
	}

	return {
		report(host, outcome, nowMs) {
			if (outcome.kind === "response") {
				host.outlier.consecutiveLocalOriginFailures = 0;
				const { status, grpcStatus } = outcome;
				reportStatus(host, grpcStatus === undefined ? status : Math.max(status, httpStatusOfGrpc(grpcStatus)), nowMs);
			} else if (settings.splitLocalOriginErrors) {
				if (++host.outlier.consecutiveLocalOriginFailures === settings.consecutiveLocalOriginFailures) {
					host.outlier.consecutiveLocalOriginFailures = 0;
					onConsecutive(host, "consecutive_local_origin_failure", nowMs);
				}
			} else {
				const timedOut = outcome.reason === "timeout" || outcome.reason === "connect_timeout";
				reportStatus(host, timedOut ? 504 : 503, nowMs);
			}
		},
		sweep(hosts, nowMs) {
			learn(hosts);
			const stayed = hosts.filter((host) => host.ejectedUntilMs === 0);
			for (const host of hosts) if (host.ejectedUntilMs !== 0 && host.ejectedUntilMs <= nowMs) readmit(host);
			ejectBySuccessRate(nowMs);
			for (const { ejectedUntilMs, outlier } of stayed) {
				if (ejectedUntilMs === 0 && outlier.ejections > 0) outlier.ejections--;
			}
			for (const { outlier } of hosts) {
				outlier.successes = 0;
				outlier.total = 0;
			}
		},
		eligible(hosts) {
			learn(hosts);
			return (eligibleOfMembers ??= eligibleOf(hosts, settings.minHealthPercent));
		},
	};
}

function countEjected(hosts: readonly Host[]): number {
	let count = 0;
	for (const host of hosts) if (host.ejectedUntilMs !== 0) count++;
	return count;
}

function eligibleOf(hosts: readonly Host[], minHealthPercent: number): readonly Host[] {
	const ejected = countEjected(hosts);
	if (ejected === 0 || (hosts.length - ejected) * 100 < minHealthPercent * hosts.length) return hosts;
	return hosts.filter((host) => host.ejectedUntilMs === 0);
}

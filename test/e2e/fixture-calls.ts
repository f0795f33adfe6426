/** A trace as a mesh with sidecars sends it: apps and proxies at both ends of each call, one call tried three times, one in plaintext. */
import type { TraceHop } from "../../api/contract/traces.ts";
import { HOSTILE, hexId } from "./fixture-traces.ts";
import type { FixtureSpan, FixtureTrace } from "./fixture-traces.ts";

const MS = 1_000_000n;
const SEED = 90_000;
const SERVER = 2;
const CLIENT = 3;

/** Spans by their place, as the tests name them. */
export function spanId(i: number): string {
	return hexId(SEED + i, 16);
}

export function meshTrace(startNs: bigint): FixtureTrace {
	const proxy = [{ key: "component", value: { stringValue: "proxy" } }];
	const span = (
		i: number,
		parent: number | undefined,
		service: string,
		name: string,
		kind: number,
		[from, to]: readonly [number, number],
		more: Partial<FixtureSpan> = {},
	): FixtureSpan => ({
		service,
		name,
		kind,
		spanId: spanId(i),
		...(parent === undefined ? {} : { parentSpanId: spanId(parent) }),
		startNs: startNs + BigInt(from) * MS,
		durationNs: BigInt(to - from) * MS,
		...more,
	});
	const proxied = { attributes: proxy };
	return {
		traceId: hexId(SEED, 32),
		spans: [
			span(0, undefined, "gateway", "POST /checkout", SERVER, [0, 100]),
			span(1, 0, "gateway", "POST cart", CLIENT, [5, 45]),
			span(2, 1, "gateway", "egress cart", CLIENT, [7, 43], proxied),
			span(3, 2, "cart", "ingress cart", SERVER, [10, 40], proxied),
			span(4, 3, "cart", "add to the cart", SERVER, [14, 36]),
			span(5, 4, "cart", "SELECT stock", 1, [20, 30]),
			span(6, 0, "gateway", "egress pay", CLIENT, [50, 58], { ...proxied, failed: true }),
			span(7, 6, "pay", "ingress pay", SERVER, [52, 56], { ...proxied, failed: true }),
			span(8, 0, "gateway", "egress pay", CLIENT, [60, 66], { ...proxied, failed: true }),
			span(9, 0, "gateway", "egress pay", CLIENT, [70, 90], proxied),
			span(10, 9, "pay", "ingress pay", SERVER, [72, 88], proxied),
			span(11, 0, "gateway", HOSTILE.script, CLIENT, [92, 98], proxied),
			span(12, 11, HOSTILE.image, HOSTILE.breakout, SERVER, [93, 97], proxied),
		],
		hops: [
			hopOf("a", "cart", "mutual_tls", { sourceApp: 1, source: 2, destination: 3, destinationApp: 4 }),
			hopOf("b", "pay", "plaintext", { source: 9, destination: 10 }, 3),
			hopOf("c", HOSTILE.image, "unknown", { source: 11, destination: 12 }),
		],
	};
}

function hopOf(
	id: string,
	target: string,
	status: TraceHop["mtls"]["status"],
	spans: Readonly<Partial<Record<keyof TraceHop["spans"], number>>>,
	attempts = 1,
): TraceHop {
	return {
		edgeId: id.repeat(16),
		source: "service:/shop/gateway",
		target: `service:/shop/${target}`,
		protocol: "http",
		evidence: "pair",
		reporter: "both",
		mtls: {
			status,
			source: status,
			destination: status,
			sourcePrincipal: "",
			destinationPrincipal: "",
			tlsVersion: "",
			cipher: "",
			verifiedBy: status === "mutual_tls" ? "server" : "",
		},
		outcome: "ok",
		code: "200",
		flags: "",
		attempts,
		startMs: 0,
		spans: Object.fromEntries(Object.entries(spans).map(([end, i]) => [end, spanId(i)])),
	};
}

/** Traces for the page tests: ordinary ones, hostile ones, a large one. The same number always yields the same trace. */
import type { TraceHop, TraceSummary } from "../../api/contract/traces.ts";

export interface FixtureSpan {
	readonly service: string;
	readonly name: string;
	readonly spanId: string;
	readonly parentSpanId?: string;
	readonly kind: number;
	readonly startNs: bigint;
	readonly durationNs: bigint;
	readonly failed?: boolean;
	readonly attributes?: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
	readonly events?: readonly Readonly<Record<string, unknown>>[];
	readonly links?: readonly Readonly<Record<string, unknown>>[];
}

export interface FixtureTrace {
	readonly traceId: string;
	readonly spans: readonly FixtureSpan[];
	/** None where left out. */
	readonly hops?: readonly TraceHop[];
	/** Windows of the store that could not be read for it; none where left out. */
	readonly damagedWindows?: readonly string[];
}

const MS = 1_000_000n;

export function hexId(seed: number, digits: 16 | 32): string {
	let hex = "";
	for (let part = 0; hex.length < digits; part++) {
		hex += (Math.imul(seed + 1, 2_654_435_761) ^ Math.imul(part + 7, 1_597_334_677))
			.toString(16)
			.replace("-", "")
			.padStart(8, "0");
	}
	return hex.slice(0, digits);
}

/** A checkout as a mesh sees it: gateway, two sidecars' halves, a database. Every fifth fails. */
export function checkoutTrace(seed: number, startNs: bigint): FixtureTrace {
	const failed = seed % 5 === 4;
	const stretch = BigInt(8 + ((seed * 37) % 90));
	const id = (i: number): string => hexId(seed * 16 + i, 16);
	const span = (
		i: number,
		parent: number | undefined,
		service: string,
		name: string,
		kind: number,
		from: bigint,
		to: bigint,
		more: Partial<FixtureSpan> = {},
	): FixtureSpan => ({
		service,
		name,
		kind,
		spanId: id(i),
		...(parent === undefined ? {} : { parentSpanId: id(parent) }),
		startNs: startNs + (from * stretch * MS) / 100n,
		durationNs: ((to - from) * stretch * MS) / 100n,
		attributes: [
			{ key: "http.request.method", value: { stringValue: "POST" } },
			{ key: "http.response.status_code", value: { intValue: failed ? "503" : "200" } },
			{ key: "upstream_cluster", value: { stringValue: `outbound|8080||${service}.shop.svc.cluster.local` } },
			{ key: "response_flags", value: { stringValue: failed ? "UF,URX" : "-" } },
			{ key: "request_size", value: { intValue: "1834" } },
		],
		...more,
	});
	return {
		traceId: hexId(seed, 32),
		spans: [
			span(0, undefined, "gateway", "POST /checkout", 2, 0n, 100n, failed ? { failed } : {}),
			span(1, 0, "gateway", "egress checkout", 3, 4n, 97n),
			span(2, 1, "checkout", "ingress POST /orders", 2, 8n, 94n),
			span(3, 2, "checkout", "reserve items", 1, 12n, 50n, {
				events: [
					{
						name: "stock checked",
						timeUnixNano: String(startNs + (20n * stretch * MS) / 100n),
						attributes: [{ key: "items", value: { intValue: "3" } }],
					},
				],
			}),
			span(4, 3, "checkout", "egress inventory", 3, 14n, 46n),
			span(5, 4, "inventory", "ingress PUT /reservations", 2, 17n, 43n),
			span(6, 5, "inventory", "SELECT stock", 3, 20n, 31n),
			span(7, 2, "checkout", "egress payment", 3, 52n, 92n, failed ? { failed } : {}),
			span(8, 7, "payment", "ingress POST /charges", 2, 56n, 89n, {
				...(failed ? { failed } : {}),
				links: [{ traceId: hexId(seed + 1, 32), spanId: hexId((seed + 1) * 16, 16) }],
			}),
		],
	};
}

export const HOSTILE = {
	script: "<script>window.hacked=1</script>",
	image: '<img src=x onerror="window.hacked=2">',
	breakout: '"><svg onload=window.hacked=3>',
	link: "javascript:window.hacked=4",
	reversed: "user\u202Efdp.exe",
	template: "{{constructor.constructor('window.hacked=5')()}}",
} as const;

/** Every text that a sender controls holds markup, script addresses or direction marks. */
export function hostileTrace(startNs: bigint): FixtureTrace {
	const attributes = Object.values(HOSTILE).map((text) => ({ key: text, value: { stringValue: text } }));
	return {
		traceId: hexId(66_666, 32),
		spans: [
			{
				service: HOSTILE.image,
				name: HOSTILE.script,
				spanId: hexId(1_000_001, 16),
				kind: 2,
				startNs,
				durationNs: 20n * MS,
				attributes: [
					...attributes,
					{ key: "__proto__", value: { stringValue: "polluted" } },
					{
						key: "nested",
						value: { kvlistValue: { values: [{ key: "__proto__", value: { stringValue: HOSTILE.script } }] } },
					},
					{ key: "long", value: { stringValue: "x".repeat(200_000) } },
				],
				events: [{ name: HOSTILE.breakout, timeUnixNano: String(startNs), attributes }],
				links: [{ traceId: HOSTILE.link, spanId: HOSTILE.breakout, attributes }],
			},
			{
				service: HOSTILE.breakout,
				name: HOSTILE.reversed,
				spanId: hexId(1_000_002, 16),
				parentSpanId: hexId(1_000_001, 16),
				kind: 3,
				startNs: startNs + MS,
				durationNs: 5n * MS,
				attributes,
			},
		],
	};
}

/** A tree of `count` spans, ten children a span. */
export function largeTrace(count: number, startNs: bigint): FixtureTrace {
	const services = Array.from({ length: 12 }, (_, i) => `service-${i}`);
	const spans: FixtureSpan[] = [];
	for (let i = 0; i < count; i++) {
		const parent = Math.floor((i - 1) / 10);
		const from = i === 0 ? 0n : BigInt(i);
		spans.push({
			service: services[i % services.length]!,
			name: `step ${i}`,
			spanId: hexId(5_000_000 + i, 16),
			...(i === 0 ? {} : { parentSpanId: hexId(5_000_000 + parent, 16) }),
			kind: 1,
			startNs: startNs + (from * MS) / 10n,
			durationNs: i === 0 ? (BigInt(count) * MS) / 10n + MS : MS,
			attributes: [{ key: "index", value: { intValue: String(i) } }],
		});
	}
	return { traceId: hexId(77_777, 32), spans };
}

export function summaryOf(trace: FixtureTrace): TraceSummary {
	const root = trace.spans[0]!;
	const end = trace.spans.reduce(
		(latest, span) => (span.startNs + span.durationNs > latest ? span.startNs + span.durationNs : latest),
		0n,
	);
	return {
		traceId: trace.traceId,
		rootService: root.service,
		rootName: root.name,
		startTimeUnixNano: String(root.startNs),
		durationNs: Number(end - root.startNs),
		spanCount: trace.spans.length,
		errorCount: trace.spans.filter((span) => span.failed === true).length,
		services: [...new Set(trace.spans.map((span) => span.service))].sort(),
	};
}

/** The trace as OTLP JSON, one ResourceSpans a service. */
export function resourceSpansOf(trace: FixtureTrace): Record<string, unknown>[] {
	const byService = Map.groupBy(trace.spans, (span) => span.service);
	return [...byService].map(([service, spans]) => ({
		resource: {
			attributes: [
				{ key: "service.name", value: { stringValue: service } },
				{ key: "k8s.namespace.name", value: { stringValue: "shop" } },
			],
		},
		scopeSpans: [
			{
				scope: { name: "envoy", version: "1.40.0" },
				spans: spans.map((span) => ({
					traceId: trace.traceId,
					spanId: span.spanId,
					...(span.parentSpanId === undefined ? {} : { parentSpanId: span.parentSpanId }),
					name: span.name,
					kind: span.kind,
					startTimeUnixNano: String(span.startNs),
					endTimeUnixNano: String(span.startNs + span.durationNs),
					attributes: span.attributes ?? [],
					...(span.events === undefined ? {} : { events: span.events }),
					...(span.links === undefined ? {} : { links: span.links }),
					...(span.failed === true ? { status: { code: 2, message: "upstream connect error" } } : {}),
				})),
			},
		],
	}));
}

/** From a span to facts: finds the source module that knows its emitter. */
import type { SpanFacts, SpanInput } from "../facts.ts";
import { type SpanSource, conventionFacts } from "./convention.ts";
import { envoySource } from "./envoy.ts";
import { apisixSource, caddySource, kongSource, nginxSource, traefikSource } from "./gateways.ts";
import { istioSource, waypointSource } from "./istio.ts";
import { consulSource, daprSource, kumaSource, linkerdSource } from "./other-meshes.ts";
import { shimSource } from "./shim.ts";

/** Asked in this order: what stands on Envoy before Envoy, and our own words before everything. */
const SOURCES: readonly SpanSource[] = [
	shimSource,
	waypointSource,
	istioSource,
	kumaSource,
	consulSource,
	envoySource,
	linkerdSource,
	daprSource,
	kongSource,
	traefikSource,
	apisixSource,
	nginxSource,
	caddySource,
];

/**
 * What one span states. Never throws, whatever the attributes are. Spans that no module knows, those converted from Zipkin among them,
 * speak OpenTelemetry's conventions.
 */
export function spanFacts(input: SpanInput): SpanFacts {
	return inOneForm(SOURCES.find((source) => source.recognises(input))?.facts(input) ?? conventionFacts(input, "otel"));
}

/** The modules make their facts in a dozen ways; the rules read them at every span, which is twice as fast when all are built alike. */
function inOneForm(facts: SpanFacts): SpanFacts {
	return {
		emitter: facts.emitter,
		proxy: facts.proxy,
		kind: facts.kind,
		local: facts.local,
		localAddress: facts.localAddress,
		peerAddress: facts.peerAddress,
		peer: facts.peer,
		both: facts.both,
		protocol: facts.protocol,
		outcome: facts.outcome,
		code: facts.code,
		flags: facts.flags,
		retry: facts.retry,
		attempts: facts.attempts,
		downstream: facts.downstream,
		upstream: facts.upstream,
		ignored: facts.ignored,
	};
}

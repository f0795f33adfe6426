/** Rule 1: a metric that names both ends is an edge. Which metrics do, and what one series of theirs states. */
import type { Attributes, MetricFacts } from "../facts.ts";
import { istioMeasure, istioMetricFacts } from "./istio-metrics.ts";
import { isLinkerdMetric, linkerdMetricFacts } from "./linkerd-metrics.ts";
import { isShimSeries, shimMeasure, shimMetricFacts } from "./shim-metrics.ts";
import { ztunnelMetricFacts } from "./ztunnel-metrics.ts";

/** By name alone, to leave all other metrics out cheaply; generic names may still turn out to be nobody's edge. */
export function isEdgeMetric(name: string): boolean {
	return isLinkerdMetric(name) || istioMeasure(name) !== undefined || shimMeasure(name) !== undefined;
}

/** Undefined for series that name no edge, or measure nothing of it that we count. */
export function metricFacts(name: string, attributes: Attributes, resource: Attributes): MetricFacts | undefined {
	if (isLinkerdMetric(name)) return linkerdMetricFacts(name, attributes, resource);
	if (isShimSeries(attributes)) return shimMetricFacts(name, attributes);
	return ztunnelMetricFacts(name, attributes, resource) ?? istioMetricFacts(name, attributes);
}

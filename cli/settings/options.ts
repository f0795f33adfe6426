/**
 * The one table of settings: a setting has the same name as key of the file (`otlp-grpc`), as flag (`--otlp-grpc`) and as variable
 * (`MESHSCOPE_OTLP_GRPC`). Help text, README table, parsing and `--print-settings` all come from here.
 *
 * Free of imports, so that `--help` costs nothing.
 */

export interface OptionSpec {
	readonly name: string;
	/** What stands for the value in help; undefined for switches. */
	readonly placeholder: string | undefined;
	readonly help: string;
	/** As a person would write it. */
	readonly default: string | undefined;
	readonly repeatable: boolean;
	/** Never printed. */
	readonly secret: boolean;
	/** The file may give maps, which come as JSON text. */
	readonly structured: boolean;
	/** Variables of other standards that mean the same; the first that is set counts, after MESHSCOPE_*. */
	readonly standardEnv: readonly string[];
}

type Extras = Partial<Pick<OptionSpec, "repeatable" | "secret" | "structured" | "standardEnv">>;

function option(name: string, placeholder: string | undefined, help: string, fallback?: string, extras: Extras = {}): OptionSpec {
	return {
		name,
		placeholder,
		help,
		default: fallback,
		repeatable: false,
		secret: false,
		structured: false,
		standardEnv: [],
		...extras,
	};
}

const REPEATABLE = { repeatable: true };

export const OPTIONS: readonly OptionSpec[] = [
	option("data", "DIR", "data directory", "./meshscope-data"),
	option("http", "ADDR", "UI and API", "127.0.0.1:4300"),
	option("otlp-grpc", "ADDR|off", "OTLP over gRPC", "127.0.0.1:4317"),
	option("otlp-http", "ADDR|off", "OTLP over HTTP, protobuf and JSON", "127.0.0.1:4318"),
	option("zipkin", "ADDR|off", "Zipkin v2", "127.0.0.1:9411"),
	option("retention", "DURATION", "how long data is kept", "7d"),
	option("max-disk", "SIZE", "bytes on disk after which the oldest window is removed", "10GB"),
	option("ingest-token", "TOKEN", "bearer token that senders must show; several may be given", undefined, {
		...REPEATABLE,
		secret: true,
	}),
	option("ingest-token-file", "FILE", "file with ingest tokens, one a line", undefined, REPEATABLE),
	option("read-token", "TOKEN", "bearer token that UI and API ask for", undefined, { ...REPEATABLE, secret: true }),
	option("read-token-file", "FILE", "file with read tokens, one a line", undefined, REPEATABLE),
	option("tls-cert", "FILE", "certificate chain (PEM) for every port"),
	option("tls-key", "FILE", "private key (PEM) of --tls-cert"),
	option("tls-client-ca", "FILE", "CA (PEM) that client certificates of senders must come from"),
	option("insecure-bind", undefined, "allow other addresses than loopback without tokens or client certificates", "false"),
	option("allow-host", "NAME", "further Host name the API answers to", undefined, REPEATABLE),
	option("max-payload", "SIZE", "largest payload, after decompression", "64MiB"),
	option("max-attributes", "N", "most attributes of a record; a record with more is dropped and counted", "1024"),
	option("max-record", "SIZE", "largest single record; a larger one is dropped and counted", "4MiB"),
	option("queue-bytes", "SIZE", "bytes held between receipt and commit; beyond it senders are told to retry", "128MiB"),
	option(
		"scrape",
		"URL",
		"Prometheus or OpenMetrics text to scrape every 5 s; several may be given; the file takes a map of `interval`, `timeout`, `relabel` and `targets`",
		undefined,
		{ ...REPEATABLE, structured: true },
	),
	option("mesh", "FILE|DIR", "run a control plane with this mesh.yaml, or the YAML files of this directory; watched"),
	option("control", "ADDR", "where proxies of the mesh connect, over TLS", "127.0.0.1:4340"),
	option("trust-domain", "NAME", "trust domain of the mesh's identities", "cluster.local"),
	option("cert-ttl", "DURATION", "life of the certificates that proxies get; they are renewed at half of it", "24h"),
	option("readers", "N", "threads that answer queries", "2"),
	option("window", "DURATION", "length of a storage window, which is one file", "1h"),
	option("log-level", "LEVEL", "trace, debug, info, warn, error, fatal or silent", "info", { standardEnv: ["OTEL_LOG_LEVEL"] }),
	option("self-telemetry", "URL|off", "OTLP gRPC endpoint for meshscope's own traces and metrics", "off", {
		standardEnv: ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
	}),
];

export const OPTION_NAMES: readonly string[] = OPTIONS.map((spec) => spec.name);

export function envName(name: string): string {
	return `MESHSCOPE_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** The one table of the proxy's flags. Free of imports, so that `--help` costs nothing. */

/** Where `meshscope serve` takes OTLP over gRPC unless told otherwise. */
export const DEFAULT_OTLP_URL = "http://127.0.0.1:4317";

export interface ProxyOption {
	readonly name: string;
	/** What stands for the value in help. */
	readonly placeholder: string;
	readonly help: string;
	readonly repeatable?: true;
}

export const PROXY_OPTIONS: readonly ProxyOption[] = [
	{ name: "service", placeholder: "NS/NAME", help: "namespace and name of the service that the proxy stands beside" },
	{ name: "version", placeholder: "V", help: "version of the service, for subsets and telemetry (default v1)" },
	{ name: "workload", placeholder: "W", help: "name of the workload (default NAME-VERSION)" },
	{ name: "service-account", placeholder: "SA", help: "service account of its identity (default NAME)" },
	{ name: "label", placeholder: "K=V", help: "label that selectors and subsets see; several may be given", repeatable: true },
	{ name: "instance-id", placeholder: "ID", help: "unique in the mesh (default from host name and port)" },
	{
		name: "inbound",
		placeholder: "ADDR=APP[@PORT[/PROTO]]",
		help: "takes calls of peers at ADDR for the app at APP; PORT is the service's port (default APP's), PROTO http, http2, grpc or tcp",
		repeatable: true,
	},
	{
		name: "advertise",
		placeholder: "HOST",
		help: "address by which peers reach --inbound (default what is bound, or the host's first)",
	},
	{
		name: "outbound",
		placeholder: "ADDR",
		help: "takes the app's HTTP calls for every destination, by Host; also as its http_proxy",
	},
	{
		name: "upstream",
		placeholder: "ADDR=HOST:PORT",
		help: "takes the app's calls for one destination, HTTP or TCP; several may be given",
		repeatable: true,
	},
	{ name: "mesh", placeholder: "FILE|DIR", help: "policy from files, watched; without a control plane" },
	{
		name: "control",
		placeholder: "URL",
		help: "control plane, as https://HOST:PORT; it issues the certificate and tells policy and endpoints",
	},
	{ name: "token", placeholder: "TOKEN", help: "join token for the first certificate (or MESHSCOPE_JOIN_TOKEN)" },
	{ name: "token-file", placeholder: "FILE", help: "file with the join token, read when it is needed" },
	{
		name: "state",
		placeholder: "DIR",
		help: "where key, certificate, policy and endpoints are kept across restarts; needed with --control",
	},
	{ name: "mtls-cert", placeholder: "FILE", help: "own certificate chain (PEM), watched; with --mesh" },
	{ name: "mtls-key", placeholder: "FILE", help: "private key (PEM) of --mtls-cert" },
	{ name: "mtls-ca", placeholder: "FILE", help: "roots (PEM) that peers' certificates must come from" },
	{ name: "trust-domain", placeholder: "NAME", help: "trust domain of the mesh (default cluster.local)" },
	{ name: "otlp", placeholder: "URL|off", help: `where spans and metrics go, over gRPC (default ${DEFAULT_OTLP_URL})` },
	{ name: "otlp-token", placeholder: "TOKEN", help: "bearer token for --otlp" },
	{
		name: "sampling",
		placeholder: "RATIO",
		help: "share of the traces that begin here, from 0 to 1 (default 1); metrics count all",
	},
	{
		name: "access-log",
		placeholder: "FILE|off",
		help: "a JSON line for each exchange, to a file or to - for standard error (default off)",
	},
	{ name: "admin", placeholder: "ADDR|off", help: "/ready, /stats, /config_dump, /clusters, /certs (default off)" },
	{
		name: "health",
		placeholder: "PATH|tcp",
		help: "looks at the app there every few seconds, and tells peers to go elsewhere while it is ill",
	},
	{ name: "drain-seconds", placeholder: "N", help: "how long exchanges may go on after SIGTERM (default 9)" },
	{ name: "log-level", placeholder: "LEVEL", help: "trace, debug, info, warn, error, fatal or silent (default info)" },
	{
		name: "workloads",
		placeholder: "FILE",
		help: "a node proxy: one process for the workloads of a YAML file, each with the settings above by their names",
	},
	{ name: "hbone", placeholder: "ADDR", help: "where a node proxy takes tunnels to its workloads (default 0.0.0.0:15008)" },
];

/** What all workloads of a node proxy have in common; everything else stands with each workload. */
export const NODE_ONLY_OPTIONS: readonly string[] = [
	"workloads",
	"hbone",
	"otlp",
	"otlp-token",
	"access-log",
	"admin",
	"drain-seconds",
	"log-level",
];

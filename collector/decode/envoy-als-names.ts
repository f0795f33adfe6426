/**
 * What Envoy's gRPC access log gives as numbers, in the words of its text and OpenTelemetry logs.
 * Sources: envoy/data/accesslog/v3/accesslog.proto, envoy/config/core/v3/base.proto; response flags as in Envoy's documentation of
 * %RESPONSE_FLAGS%; cipher suites from the IANA registry, by the names of BoringSSL, which %DOWNSTREAM_TLS_CIPHER% prints.
 */

/** AccessLogType */
export const LOG_TYPES: readonly string[] = [
	...["NotSet", "TcpUpstreamConnected", "TcpPeriodic", "TcpConnectionEnd", "DownstreamStart", "DownstreamPeriodic"],
	...["DownstreamEnd", "UpstreamPoolReady", "UpstreamPeriodic", "UpstreamEnd", "DownstreamTunnelSuccessfullyEstablished"],
	...["UdpTunnelUpstreamConnected", "UdpPeriodic", "UdpSessionEnd", "TcpConnectionStart"],
];

/** HTTPAccessLogEntry.HTTPVersion */
export const HTTP_VERSIONS: readonly string[] = ["", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];

/** RequestMethod */
export const METHODS: readonly string[] = [
	...["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"],
];

/** By field number of ResponseFlags. */
export const RESPONSE_FLAGS: readonly string[] = [
	...["", "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH"],
	...["DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DR"],
];

/** TLSProperties.TLSVersion */
export const TLS_VERSIONS: readonly string[] = ["", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

const CIPHERS: ReadonlyMap<number, string> = new Map([
	[0x1301, "TLS_AES_128_GCM_SHA256"],
	[0x1302, "TLS_AES_256_GCM_SHA384"],
	[0x1303, "TLS_CHACHA20_POLY1305_SHA256"],
	[0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"],
	[0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"],
	[0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"],
	[0xc030, "ECDHE-RSA-AES256-GCM-SHA384"],
	[0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"],
	[0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"],
	[0xc009, "ECDHE-ECDSA-AES128-SHA"],
	[0xc00a, "ECDHE-ECDSA-AES256-SHA"],
	[0xc013, "ECDHE-RSA-AES128-SHA"],
	[0xc014, "ECDHE-RSA-AES256-SHA"],
	[0xc027, "ECDHE-RSA-AES128-SHA256"],
	[0x009c, "AES128-GCM-SHA256"],
	[0x009d, "AES256-GCM-SHA384"],
	[0x002f, "AES128-SHA"],
	[0x0035, "AES256-SHA"],
]);

/** Of suites that are not listed, the number as IANA writes it. */
export function cipherName(suite: number): string {
	return CIPHERS.get(suite) ?? `0x${suite.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Connections of one cluster, by its TLS, in the words of the pools. */
import type { Socket } from "node:net";
import type { Endpoint } from "../../model/mesh/proxy-config.ts";
import { callerAddress } from "../tcp/loopback-caller.ts";
import type { HopTls } from "../telemetry/hop.ts";
import type { ClientTls } from "../tls/client.ts";
import { reasonOfError } from "../tls/failure.ts";
import { peerTls } from "../tls/hop-tls.ts";
import type { LocalReason } from "./call.ts";

export interface UpstreamConnection {
	readonly socket: Socket;
	readonly tls: HopTls;
	readonly address: string;
	readonly port: number;
}

export interface ConnectFailure {
	readonly reason: Extract<LocalReason, "connect_failure" | "connect_timeout" | "handshake">;
	readonly message: string;
	/** In the words of tls/failure.ts where TLS is the reason; empty else. */
	readonly tlsReason: string;
}

/** Ends in exactly one of the two, unless the returned function gives it up before. */
export type PoolConnect = (
	done: (failure: ConnectFailure | undefined, connection: UpstreamConnection | undefined) => void,
) => () => void;

export type ApplicationProtocol = "http/1.1" | "h2" | "tcp";

export function createConnect(
	clientTls: ClientTls,
	endpoint: Endpoint,
	protocol: ApplicationProtocol,
	timeoutMs: number,
): PoolConnect {
	const isTcp = protocol === "tcp";
	const options = { alpn: isTcp ? [] : [protocol], timeoutMs, plainFrom: isTcp ? callerAddress(endpoint) : undefined };
	return (done) => {
		let over = false;
		const giveUp = clientTls.connect(endpoint, options, (error, socket) => {
			if (over) {
				socket?.destroy();
				return;
			}
			over = true;
			if (socket === undefined) {
				done(failureOf(error, endpoint), undefined);
				return;
			}
			// Each direction of a byte stream ends by itself.
			if (isTcp) socket.allowHalfOpen = true;
			const address = socket.remoteAddress ?? endpoint.address;
			done(undefined, { socket, tls: peerTls(socket, "client"), address, port: socket.remotePort ?? endpoint.port });
		});
		return () => {
			if (over) return;
			over = true;
			giveUp();
		};
	};
}

function failureOf(error: Error | undefined, endpoint: Endpoint): ConnectFailure {
	const reason = reasonOfError(error);
	const message = `${endpoint.address}:${endpoint.port}: ${error?.message ?? "no connection"}`;
	if (reason === "connect_timeout") return { reason, message, tlsReason: "" };
	const isTcp = reason === "connect_failed" || reason === "connection_closed";
	return isTcp ? { reason: "connect_failure", message, tlsReason: "" } : { reason: "handshake", message, tlsReason: reason };
}

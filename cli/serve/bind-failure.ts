/** Why an address could not be bound, with the flag that sets it. */
import { CommandError } from "../context.ts";
import type { Settings } from "../settings.ts";
import { formatAddress } from "../settings/values.ts";

/** What to throw instead of the socket's error; other errors stay what they are. */
export function bindFailure(error: unknown, settings: Settings): unknown {
	const system = systemError(error);
	if (system === undefined) return error;
	const listeners = [
		["--http", settings.http],
		["--otlp-grpc", settings.otlpGrpc],
		["--otlp-http", settings.otlpHttp],
		["--zipkin", settings.zipkin],
		["--control", settings.mesh?.control],
	] as const;
	const found = listeners.find(([, address]) => address !== undefined && address.port === system.port);
	if (found?.[1] === undefined) return error;
	const [flag, address] = found;
	const where = `${flag} ${formatAddress(address)}`;
	switch (system.code) {
		case "EADDRINUSE":
			return new CommandError(
				`${where}: the port is in use, by another meshscope or another collector; give another with ${flag} HOST:PORT`,
			);
		case "EADDRNOTAVAIL":
			return new CommandError(`${where}: this machine has no such address`);
		case "EACCES":
			return new CommandError(`${where}: not allowed to bind this port; take one above 1023`);
		case "ENOTFOUND":
			return new CommandError(`${where}: no such host name`);
		default:
			return error;
	}
}

interface SystemError {
	readonly code: string;
	readonly port?: number;
}

/** The socket's own error, bare or as the cause of one that names the receiver. */
function systemError(error: unknown): SystemError | undefined {
	if (!(error instanceof Error)) return undefined;
	if (!("code" in error) || typeof error.code !== "string")
		return error.cause === undefined ? undefined : systemError(error.cause);
	return "port" in error && typeof error.port === "number" ? { code: error.code, port: error.port } : { code: error.code };
}

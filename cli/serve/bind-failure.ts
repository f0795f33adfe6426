/** Why an address could not be bound, with the flag that sets it. */
import { CommandError } from "../context.ts";
import type { Settings } from "../settings.ts";
import { formatAddress } from "../settings/values.ts";

/** What to throw instead of the socket's error; other errors stay what they are. */
export function bindFailure(error: unknown, settings: Settings): unknown {
	const code = systemCode(error);
	if (code === undefined) return error;
	const listeners = [
		["--http", settings.http],
		["--otlp-grpc", settings.otlpGrpc],
		["--otlp-http", settings.otlpHttp],
		["--zipkin", settings.zipkin],
	] as const;
	const port = error instanceof Error && "port" in error ? error.port : undefined;
	const found = listeners.find(([, address]) => address !== undefined && address.port === port);
	if (found?.[1] === undefined) return error;
	const [flag, address] = found;
	const where = `${flag} ${formatAddress(address)}`;
	switch (code) {
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

function systemCode(error: unknown): string | undefined {
	if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
	return error.code;
}

/** One HTTP/2 stream to the control plane: frames out, frames in, and the news of its end. It reconnects nothing and keeps nothing. */
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { MAX_FRAME_BYTES, rootServerName, STREAM_PATH } from "../../model/mesh/control-protocol.ts";
import type { ProxyMessage } from "../../model/mesh/control-protocol.ts";
import { encodeFrame, frameReader } from "../../model/mesh/frames.ts";
import type { Frame } from "../../model/mesh/frames.ts";
import { controlPlaneProblem, sha256Of } from "./trust.ts";
import type { ControlAddress } from "./trust.ts";

export interface StreamOptions {
	readonly address: ControlAddress;
	readonly trustDomain: string;
	/** Newest last: the control plane shows a certificate of that one. */
	readonly rootsPem: readonly string[];
	/** Undefined for a proxy that joins. */
	readonly credentials: { readonly chainPem: string; readonly keyPem: string } | undefined;
	readonly timeoutMs: number;
	readonly pingEveryMs: number;
	readonly onFrame: (frame: Frame) => void;
	/** The stream is open. */
	readonly onOpen: () => void;
	/** Once, with the reason. */
	readonly onEnd: (reason: string) => void;
}

export interface ControlStream {
	/** False once it has ended. */
	send(message: ProxyMessage): boolean;
	/** Lets what was sent go out first; resolves at the end. */
	close(): Promise<void>;
	destroy(): void;
}

const CLOSE_LIMIT_MS = 1_000;

export function openStream(options: StreamOptions): ControlStream {
	const { host, port } = options.address;
	const newest = options.rootsPem.at(-1);
	const authority = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
	const session: ClientHttp2Session = connect(authority, {
		ca: [...options.rootsPem],
		servername: newest === undefined ? "" : rootServerName(sha256Of(newest)),
		minVersion: "TLSv1.3",
		...(options.credentials && { cert: options.credentials.chainPem, key: options.credentials.keyPem }),
		checkServerIdentity: (_name, certificate) => controlPlaneProblem(certificate, options.trustDomain),
		settings: { enablePush: false, initialWindowSize: 1 << 20 },
		maxSessionMemory: 64,
	});
	const ended = Promise.withResolvers<void>();
	let isOver = false;
	let pinger: NodeJS.Timeout | undefined;
	const finish = (reason: string): void => {
		if (isOver) return;
		isOver = true;
		clearTimeout(patience);
		clearInterval(pinger);
		session.destroy();
		ended.resolve();
		options.onEnd(reason);
	};
	const patience = setTimeout(() => finish(`no answer within ${options.timeoutMs} ms`), options.timeoutMs);
	session.on("error", (error) => finish(error.message));
	session.on("goaway", () => finish("the control plane is going away"));
	session.on("close", () => finish("the connection was closed"));

	const stream: ClientHttp2Stream = session.request({ ":method": "POST", ":path": STREAM_PATH }, { endStream: false });
	const reader = frameReader(MAX_FRAME_BYTES);
	stream.on("error", (error) => finish(error.message));
	stream.on("response", (headers) => {
		if (headers[":status"] !== 200) return finish(`the control plane answers ${String(headers[":status"])}`);
		clearTimeout(patience);
		startPings();
		guarded(options.onOpen);
	});
	stream.on("data", (chunk: Uint8Array) => {
		guarded(() => {
			for (const frame of reader.push(chunk)) if (!isOver) options.onFrame(frame);
		});
	});
	stream.on("end", () => finish("the control plane ended the stream"));
	stream.on("close", () => finish("the stream was closed"));

	return {
		send: (message) => !isOver && stream.writable && (stream.write(encodeFrame(message)), true),
		async close() {
			if (isOver) return;
			const limit = setTimeout(() => finish("closed"), CLOSE_LIMIT_MS);
			stream.end();
			await ended.promise;
			clearTimeout(limit);
		},
		destroy: () => finish("closed"),
	};

	/** What cannot be understood ends the stream, never the proxy. */
	function guarded(step: () => void): void {
		try {
			step();
		} catch (error) {
			finish(error instanceof Error ? error.message : String(error));
		}
	}

	/** A peer that is gone without a word is told from a quiet one by its silence to a ping. */
	function startPings(): void {
		let unanswered = 0;
		pinger = setInterval(() => {
			if (unanswered >= 2) return finish("the control plane does not answer pings");
			unanswered++;
			if (!session.ping(() => void (unanswered = 0))) finish("the connection takes no ping");
		}, options.pingEveryMs);
	}
}

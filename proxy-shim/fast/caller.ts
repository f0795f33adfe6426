/**
 * A caller's connection in the fast tier: heads are read one after the other, plain ones become requests here, and at the first that
 * is not plain the whole connection goes over to the correct tier, with every byte of it.
 */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { CallerConnection, Downstream } from "../http/downstream.ts";
import { sortRequestHeaders } from "../http/hop-headers.ts";
import { isAuthority } from "../http/downstream-http1.ts";
import { FastDownstream } from "./fast-downstream.ts";
import { readRequestHead } from "./request-head.ts";
import type { RequestHead } from "./request-head.ts";

/** Bytes of later requests that wait while one is answered; then the caller waits. */
const MAX_PIPELINED_BYTES = 64 << 10;
const NOTHING = Buffer.alloc(0);

export interface CallerParts {
	readonly connection: CallerConnection;
	/** The caller speaks TLS. */
	readonly isTls: boolean;
	onRequest(downstream: Downstream): void;
	/** The answer was given to the socket, or the caller is gone. */
	onRequestOver(): void;
	/** Takes the connection from here on: `first` comes before whatever the socket still gives. */
	handOver(socket: Socket, first: Buffer): void;
	/** New requests are not wanted: answers say so and end the connection. */
	draining(): boolean;
	/** A head must be complete within this. */
	readonly headTimeoutMs: number;
	readonly idleTimeoutMs: number;
}

/** Serves the connection until it ends or is handed over. It reads once the socket flows. */
export function serveCaller(socket: Socket, parts: CallerParts): CallerHandle {
	let pending: Buffer = NOTHING;
	let current: FastDownstream | undefined;
	let body: LengthBody | undefined;
	let keepAlive = true;
	let callerEnded = false;
	let over = false;
	/** True while {@link take} runs: an answer within it goes on in its loop, not one level deeper. */
	let taking = false;
	let headTimer: NodeJS.Timeout | undefined;

	socket.setTimeout(parts.idleTimeoutMs);
	socket.on("timeout", onTimeout);
	socket.on("data", onData);
	socket.on("end", onEnd);
	socket.on("close", onClose);
	socket.on("error", ignore);
	socket.on("drain", onDrain);

	function onData(chunk: Buffer): void {
		pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
		take();
		if (over) return;
		if (pending.length > MAX_PIPELINED_BYTES) socket.pause();
	}

	/** Goes as far as the bytes at hand allow. */
	function take(): void {
		if (taking) return;
		taking = true;
		while (!over && step());
		taking = false;
	}

	function step(): boolean {
		if (body !== undefined) {
			pending = body.take(pending);
			if (body.remaining > 0) return false;
			body = undefined;
		}
		if (current !== undefined) return false;
		if (!keepAlive) return finishConnection();
		if (pending.length === 0) return callerEnded ? finishConnection() : false;
		const head = readRequestHead(pending, 0);
		if (head.kind === "incomplete") {
			headTimer ??= setTimeout(() => socket.destroy(), parts.headTimeoutMs).unref();
			return callerEnded ? finishConnection() : false;
		}
		clearTimeout(headTimer);
		headTimer = undefined;
		if (head.kind === "other" || !isAuthority(head.host)) return leave();
		pending = head.endOffset === pending.length ? NOTHING : pending.subarray(head.endOffset);
		begin(head);
		return true;
	}

	function begin(head: RequestHead): void {
		keepAlive = head.keepAlive;
		const sorted = sortRequestHeaders(head.fields);
		if (head.contentLength > 0) body = new LengthBody(head.contentLength, socket, take);
		current = new FastDownstream({
			socket,
			head: {
				method: head.method,
				scheme: parts.isTls ? "https" : "http",
				authority: head.host,
				path: head.target,
				headers: sorted.headers,
				protocolVersion: "1.1",
				isGrpc: sorted.isGrpc,
				upgrade: "",
				expectsContinue: false,
			},
			connection: parts.connection,
			body,
			closes() {
				// A caller that was not told of the end may be sending its next request already: that one is answered, and told.
				if (parts.draining()) keepAlive = false;
				return !keepAlive;
			},
			onDone,
		});
		parts.onRequest(current);
	}

	function onDone(): void {
		current = undefined;
		parts.onRequestOver();
		if (body !== undefined && !body.flows) {
			// Nobody asked for the body, and what comes of it must not be taken for a request.
			keepAlive = false;
			body = undefined;
		}
		if (socket.isPaused()) socket.resume();
		take();
	}

	function finishConnection(): boolean {
		over = true;
		clearTimeout(headTimer);
		socket.end();
		return false;
	}

	function leave(): boolean {
		over = true;
		socket.off("timeout", onTimeout).off("data", onData).off("end", onEnd).off("close", onClose).off("drain", onDrain);
		socket.setTimeout(0);
		socket.pause();
		parts.handOver(socket, pending);
		// The next owner has listeners of its own for errors.
		socket.off("error", ignore);
		return false;
	}

	function onTimeout(): void {
		if (current === undefined) socket.destroy();
	}

	function onEnd(): void {
		callerEnded = true;
		// Who ends its side while an answer is due wants it no more, as node:http and Envoy take it.
		if (current !== undefined || (body !== undefined && body.remaining > 0)) socket.destroy();
		else take();
	}

	function onClose(): void {
		over = true;
		clearTimeout(headTimer);
		body?.breakOff();
		if (current === undefined) return;
		current.gone();
		current = undefined;
		parts.onRequestOver();
	}

	function onDrain(): void {
		current?.events.onDrain();
	}

	return {
		/** Ends the connection now if nothing is under way on it, else with the next answer. */
		drain() {
			if (!over && current === undefined && pending.length === 0) finishConnection();
		},
	};
}

export interface CallerHandle {
	drain(): void;
}

function ignore(): void {}

/** A body of known length as the caller sends it. It flows from when somebody listens for its data. */
class LengthBody extends EventEmitter {
	remaining: number;
	/** Somebody takes it. */
	flows = false;
	readonly #socket: Socket;

	/** `onFlow` is called when somebody begins to take it: a part of it may be there already. */
	constructor(length: number, socket: Socket, onFlow: () => void) {
		super();
		this.remaining = length;
		this.#socket = socket;
		this.on("newListener", (event) => {
			if (event !== "data" || this.flows) return;
			this.flows = true;
			queueMicrotask(onFlow);
		});
	}

	/** Gives on what is of this body, and returns the rest. Before anybody takes it nothing is given. */
	take(bytes: Buffer): Buffer {
		if (!this.flows || bytes.length === 0 || this.remaining === 0) return bytes;
		const taken = Math.min(this.remaining, bytes.length);
		this.remaining -= taken;
		this.emit("data", taken === bytes.length ? bytes : bytes.subarray(0, taken));
		if (this.remaining === 0) this.emit("end");
		return taken === bytes.length ? NOTHING : bytes.subarray(taken);
	}

	breakOff(): void {
		if (this.remaining > 0) this.emit("close");
	}

	pause(): void {
		this.#socket.pause();
	}

	resume(): void {
		this.#socket.resume();
	}
}

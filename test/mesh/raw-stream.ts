/** A peer of the control plane that keeps to no rule: it sends what a test gives it and writes down what comes back. */
import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { TestContext } from "node:test";
import { createCsrPem } from "../../proxy-shim/control/csr.ts";
import { eventually, workload } from "./control-kit.ts";

export interface RawStream {
	readonly session: ClientHttp2Session;
	readonly stream: ClientHttp2Stream;
	readonly frames: Record<string, unknown>[];
	/** The stream or its connection is gone. */
	readonly ended: () => boolean;
	send(...messages: readonly unknown[]): void;
	write(bytes: string | Uint8Array): void;
	/** The first frame of this kind. */
	next(kind: string): Promise<Record<string, unknown>>;
}

export function rawSession(
	t: TestContext,
	address: string,
	credentials?: { readonly chainPem: string; readonly keyPem: string },
) {
	const session = connect(`https://${address}`, {
		rejectUnauthorized: false,
		...(credentials && { cert: credentials.chainPem, key: credentials.keyPem }),
	});
	session.on("error", () => undefined);
	session.setMaxListeners(0);
	t.after(() => session.destroy());
	return session;
}

export function rawStream(
	t: TestContext,
	address: string,
	credentials?: { readonly chainPem: string; readonly keyPem: string },
): RawStream {
	return streamOf(rawSession(t, address, credentials));
}

export function streamOf(session: ClientHttp2Session): RawStream {
	const stream = session.request({ ":method": "POST", ":path": "/v1/proxy/stream" });
	const frames: Record<string, unknown>[] = [];
	let text = "";
	let isOver = false;
	stream.setEncoding("utf8");
	stream.on("data", (chunk: string) => {
		text += chunk;
		for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
			frames.push(JSON.parse(text.slice(0, end)) as Record<string, unknown>);
			text = text.slice(end + 1);
		}
	});
	stream.on("error", () => undefined);
	stream.on("close", () => (isOver = true));
	stream.on("end", () => (isOver = true));
	session.on("close", () => (isOver = true));
	return {
		session,
		stream,
		frames,
		ended: () => isOver,
		send(...messages) {
			for (const message of messages) stream.write(`${JSON.stringify(message)}\n`);
		},
		write: (bytes) => void stream.write(bytes),
		next: (kind) =>
			eventually(
				`a frame ${kind}, but ${JSON.stringify(frames).slice(0, 500)}`,
				() => frames.find((one) => one["kind"] === kind),
				5_000,
			),
	};
}

export function hello(serviceAccount: string, extra: object = {}): object {
	const own = workload(serviceAccount);
	return { kind: "hello", instanceId: own.instanceId, workload: own, proxyVersion: "0", policyVersion: "", ...extra };
}

export function csr(
	instanceId: string,
	keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
	extra: object = {},
): object {
	return { kind: "csr", instanceId, requestId: 1, csrPem: createCsrPem(keys), ...extra };
}

export function keyPair(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
	return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

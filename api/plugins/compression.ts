/**
 * Compresses answers as the client accepts: zstd, brotli or gzip, at their fast levels, off the main thread, and with
 * back-pressure where the answer is a stream.
 */
import { pipeline, Readable, type Transform } from "node:stream";
import { constants, createBrotliCompress, createGzip, createZstdCompress } from "node:zlib";
import type { FastifyInstance } from "fastify";

export type Encoding = "zstd" | "br" | "gzip";

/** Below it, headers and a second packet cost more than they save. */
const MIN_BYTES = 1_400;

const COMPRESSIBLE = /^(application\/(json|x-protobuf|protobuf|javascript|manifest\+json)|text\/|image\/svg\+xml)/;

export function installCompression(app: FastifyInstance): void {
	app.addHook("onSend", async (request, reply, payload) => {
		const type = reply.getHeader("content-type");
		if (typeof type !== "string" || !COMPRESSIBLE.test(type)) return payload;
		addVary(reply.getHeader("vary"), (value) => void reply.header("vary", value));
		if (request.method !== "GET" || reply.statusCode !== 200 || reply.hasHeader("content-encoding")) return payload;
		const encoding = chooseEncoding(request.headers["accept-encoding"]);
		if (encoding === undefined) return payload;
		const source = asStream(payload, Number(reply.getHeader("content-length") ?? Number.POSITIVE_INFINITY));
		if (source === undefined) return payload;
		reply.removeHeader("content-length");
		reply.removeHeader("accept-ranges");
		reply.header("content-encoding", encoding);
		// The answer ends as soon as either side fails; the client sees a cut-off body, never a short one that looks whole.
		return pipeline(source, compressor(encoding), () => undefined);
	});
}

function asStream(payload: unknown, contentLength: number): Readable | undefined {
	if (payload instanceof Readable) return contentLength < MIN_BYTES ? undefined : payload;
	const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
	if (!(bytes instanceof Uint8Array) || bytes.length < MIN_BYTES) return undefined;
	return Readable.from([bytes], { objectMode: false });
}

function compressor(encoding: Encoding): Transform {
	switch (encoding) {
		case "zstd":
			return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } });
		case "br":
			return createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
		case "gzip":
			return createGzip({ level: 4 });
	}
}

/** The best of ours that `Accept-Encoding` allows; ours is the order of cost, theirs only says what is refused (`q=0`). */
export function chooseEncoding(header: string | string[] | undefined): Encoding | undefined {
	const accepted = new Set<string>();
	for (const part of (Array.isArray(header) ? header.join(",") : (header ?? "")).split(",")) {
		const [name = "", ...parameters] = part.split(";").map((each) => each.trim().toLowerCase());
		if (!parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) accepted.add(name);
	}
	return (["zstd", "br", "gzip"] as const).find((encoding) => accepted.has(encoding));
}

function addVary(present: unknown, set: (value: string) => void): void {
	const names = typeof present === "string" ? present : "";
	if (!/accept-encoding/i.test(names)) set(names === "" ? "Accept-Encoding" : `${names}, Accept-Encoding`);
}

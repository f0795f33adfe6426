/**
 * The yardstick: how many spans a second protobufjs decodes from the very bytes that ingest is measured with, in one thread.
 *
 * A process of its own, so that no other heap or JIT state weighs on it. protobufjs compiles a decoder by reflection at run time,
 * which is the code its static target would write to a file. Prints one JSON line.
 */
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import protobuf from "protobufjs";
import { GRPC_PREFIX_BYTES, PayloadFiller, createPayload } from "./payload.ts";
import type { YardstickResult } from "./processes.ts";

interface Decoder {
	decode(bytes: Uint8Array): unknown;
}

function main(): void {
	const { values } = parseArgs({
		options: {
			seconds: { type: "string", default: "4" },
			warmup: { type: "string", default: "3" },
			mode: { type: "string", default: "number+array" },
		},
	});
	const [longs, input] = values.mode.split("+");
	if (longs === "number") {
		Reflect.set(protobuf.util, "Long", undefined);
		protobuf.configure();
	}
	const root = protobuf.loadSync(fileURLToPath(new URL("trace.proto", import.meta.url)));
	const decoder: Decoder = root.lookupType("meshscope.bench.ExportTraceServiceRequest");
	const payload = createPayload({ layout: "mixed", spansPerRequest: 1_500, templates: 48, seed: 1 });
	const filler = new PayloadFiller();
	const requests = payload.groups.map((group) => {
		const out = Buffer.alloc(group.requests[0]!.bytes.length);
		filler.fill(group, [out], Date.now());
		const bytes = out.subarray(GRPC_PREFIX_BYTES);
		return { spans: group.spanCount, bytes: input === "array" ? new Uint8Array(bytes) : bytes };
	});
	decodeFor(decoder, requests, Number(values.warmup));
	const result: YardstickResult = {
		mode: values.mode,
		spansPerSecond: decodeFor(decoder, requests, Number(values.seconds)),
		bytesPerSpan: payload.meanSpanBytes,
	};
	console.log(JSON.stringify(result));
}

function decodeFor(decoder: Decoder, requests: readonly { spans: number; bytes: Uint8Array }[], seconds: number): number {
	const start = performance.now();
	let spans = 0;
	let elapsedMs = 0;
	for (let i = 0; elapsedMs < seconds * 1_000; i++) {
		const request = requests[i % requests.length]!;
		decoder.decode(request.bytes);
		spans += request.spans;
		elapsedMs = performance.now() - start;
	}
	return spans / (elapsedMs / 1_000);
}

main();

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { skipUnless } from "./fetch/cache.ts";
import { fetchPythonSdk } from "./fetch/python.ts";
import { assertLogsCameBack, assertMetricsCameBack, assertTraceCameBack } from "./sdk-assertions.ts";
import { COMPRESSIONS } from "./senders/js-sdk.ts";
import { PYTHON_PROTOCOLS, sendWithPythonSdk } from "./senders/python-sdk.ts";
import { startServer } from "./server.ts";
import type { RunningServer } from "./server.ts";

const skip = await skipUnless(fetchPythonSdk);

let server: RunningServer;
let dataDirectory: string;

before(async () => {
	dataDirectory = await mkdtemp(path.join(tmpdir(), "meshscope-interop-python-"));
	server = await startServer({ dataDirectory });
});

after(async () => {
	await server.stop();
	await rm(dataDirectory, { recursive: true });
});

for (const protocol of PYTHON_PROTOCOLS) {
	for (const compression of COMPRESSIONS) {
		test(
			`what the OpenTelemetry Python SDK sends over ${protocol} with compression ${compression} comes back field for field, nothing double`,
			{ skip },
			async () => {
				const serviceName = `interop-python-${protocol}-${compression}`;
				// A minute ago, and not a whole millisecond.
				const baseTimeNs = BigInt(Date.now() - 60_000) * 1_000_000n + 123_457n;
				const { otlpGrpc, otlpHttp } = server.addresses;
				const sent = await sendWithPythonSdk({ protocol, compression, serviceName, otlpGrpc, otlpHttp, baseTimeNs });
				await assertTraceCameBack(server.addresses, sent, serviceName, baseTimeNs);
				await assertLogsCameBack(server.addresses, sent, serviceName, baseTimeNs);
				await assertMetricsCameBack(server.addresses, serviceName);
			},
		);
	}
}

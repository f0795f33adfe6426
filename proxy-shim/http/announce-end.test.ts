import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { announceEnd } from "./announce-end.ts";

test("a session is told of the end, and one that has just ended is left alone", async (t) => {
	const server = createServer();
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
	t.after(() => client.destroy());
	const [session] = (await once(server, "session")) as [ServerHttp2Session];
	const told = once(client, "goaway");
	announceEnd(session);
	assert.equal((await told)[0], 0);
	session.destroy();
	// Its event comes in a later turn; until then whoever keeps a list still has it there.
	assert.doesNotThrow(() => announceEnd(session));
	await once(session, "close");
});

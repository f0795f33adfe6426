import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { TLS_FAILURES } from "../proxy-shim/tls/failure.ts";

test("docs/mtls.md explains every reason for which a handshake fails, and no other", () => {
	const document = readFileSync(new URL("../docs/mtls.md", import.meta.url), "utf8");
	const section = document.slice(document.indexOf("## Why a handshake failed"), document.indexOf("## Tunnels"));
	const rows = section.split("\n").filter((line) => line.startsWith("| `"));
	const explained = rows.flatMap((row) => [...row.split(" | ")[0]!.matchAll(/`(\w+)`/g)].map((match) => match[1]));
	assert.deepEqual(explained.toSorted(), TLS_FAILURES.toSorted());
});

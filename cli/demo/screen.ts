/** What the demo tells a person: where everything is, and what is worth a look. */
import { loopback } from "./shop-plan.ts";
import type { PlannedWorkload } from "./shop-plan.ts";

export interface DemoFacts {
	readonly http: string;
	readonly meshFile: string;
	readonly dataDirectory: string;
	readonly isDataKept: boolean;
	readonly workloads: readonly PlannedWorkload[];
	readonly chaosEveryMs: number | undefined;
	readonly hasPython: boolean;
	/** Port of the admin listener of a workload's shim; undefined where it has none of its own. */
	readonly adminOf: (workload: PlannedWorkload) => number | undefined;
}

export function welcome(facts: DemoFacts): string {
	const url = `http://${facts.http}`;
	const of = (name: string): PlannedWorkload => facts.workloads.find((one) => one.name === name)!;
	const admin = (what: string, name: string, path: string): readonly (readonly [string, string])[] => {
		const port = facts.adminOf(of(name));
		return port === undefined ? [] : [[what, `http://${loopback(port)}${path}`]];
	};
	const look: readonly (readonly [string, string])[] = [
		["the page", url],
		["who calls whom", `meshscope graph --watch --from now-5m --url ${url}`],
		["every edge", `meshscope edges --watch --from now-5m --url ${url}`],
		["mTLS: one edge has none", `${url}/api/v1/mtls?from=now-5m`],
		["what changed", `${url}/api/v1/graph/diff?from=now-1m`],
		["the shop itself", `curl http://${loopback(of("storefront").appPort)}/`],
		["the policy; edit it", facts.meshFile],
		["the mesh: proxies, policy", `${url}/api/v1/mesh`],
		...admin("a shim: breaker, ejections", "checkout", "/clusters"),
		...admin("a shim: what it runs", "storefront", "/config_dump"),
		...admin("a shim: its certificates", "storefront", "/certs"),
	];
	const sights = [
		"checkout → legacy-billing is plaintext: it has no shim. Everything else is mutual TLS, of identities that are checked.",
		"checkout → shipping fails in waves of 40 s: its breaker opens, a fallback answers, it closes again.",
		"storefront → catalogue: one request in ten goes to v2. catalogue → inventory is slow.",
		"reporting → cart is denied (403), by identity. checkout → payments is gRPC, cart → store RESP over TCP,",
		"visitors → notifications a WebSocket. Traces are whole, but end at reviews, which does not forward them.",
		...(facts.hasPython ? [] : ["There is no python3 here: catalogue and inventory run in Node instead."]),
		...(facts.chaosEveryMs === undefined
			? ["With --chaos something changes every minute."]
			: [`Something changes every ${facts.chaosEveryMs / 1_000} s; it is told here.`]),
	];
	const width = Math.max(...look.map(([what]) => what.length));
	return [
		"",
		...look.map(([what, where]) => `  ${what.padEnd(width)}  ${where}`),
		"",
		...sights.map((sight) => `  ${sight}`),
		"",
		`  Ctrl-C ends everything${facts.isDataKept ? `; ${facts.dataDirectory} is kept` : " and leaves nothing behind"}.`,
		"",
		"",
	].join("\n");
}

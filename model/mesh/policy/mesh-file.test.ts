import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compile } from "./compile.ts";
import { readMeshFile } from "./mesh-file.ts";

function told(text: string): readonly string[] {
	return readMeshFile(text, "mesh.yaml").faults.map(
		({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
	);
}

const RULE = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: a}\n";

test("an empty file and empty documents have nothing in them", () => {
	for (const text of ["", "\n", "# nothing\n", "---\n---\n", "---\n# nothing\n---\nnull\n"]) {
		assert.deepEqual(readMeshFile(text, "mesh.yaml"), { documents: [], faults: [], warnings: [] });
	}
});

test("a document is told by its kind, name and namespace, a fault by file, line, column and path", () => {
	const text = `# mesh\n---\n${RULE.replace("{name: a}", "{name: a, namespace: shop}").replace("host: a", "hots: a")}`;
	assert.deepEqual(readMeshFile(text, "dir/mesh.yaml").faults, [
		{ file: "dir/mesh.yaml", line: 6, column: 1, path: "DestinationRule shop/a: spec", message: "needs host" },
		{
			file: "dir/mesh.yaml",
			line: 6,
			column: 8,
			path: "DestinationRule shop/a: spec.hots",
			message: 'unknown field "hots"; did you mean host?',
		},
	]);
});

test("documents are plain JSON and carry the line they began on", () => {
	const file = readMeshFile(`${RULE}---\n# b\n${RULE.replaceAll("a}", "b}")}`, "mesh.yaml");
	assert.deepEqual(file.faults, []);
	assert.deepEqual(JSON.parse(JSON.stringify(file.documents)), [
		{
			line: 1,
			file: "mesh.yaml",
			value: {
				apiVersion: "networking.istio.io/v1",
				kind: "DestinationRule",
				metadata: { name: "a" },
				spec: { host: "a" },
			},
		},
		{
			line: 7,
			file: "mesh.yaml",
			value: {
				apiVersion: "networking.istio.io/v1",
				kind: "DestinationRule",
				metadata: { name: "b" },
				spec: { host: "b" },
			},
		},
	]);
});

test("a document of a snapshot gives the same faults, in the line it began on", () => {
	const file = readMeshFile(`\n${RULE.replace("host: a", "host: 1")}`, "mesh.yaml");
	assert.deepEqual(
		file.faults.map(({ line, path }) => [line, path]),
		[[5, "DestinationRule default/a: spec.host"]],
	);
	const sent = JSON.parse(JSON.stringify(file.documents));
	const workload = {
		trustDomain: "cluster.local",
		namespace: "default",
		service: "",
		workload: "",
		version: "",
		serviceAccount: "a",
		instanceId: "1",
		labels: {},
	};
	assert.deepEqual(compile(sent, workload, []).faults, [{ ...file.faults[0]!, line: 2, column: 1 }]);
});

test("what YAML cannot read is a fault with its place, and everything else is told too", () => {
	const faults = told("a: [1, 2\nb: 3\n---\nc: 'd\n");
	assert.ok(faults.length >= 2, faults.join("\n"));
	assert.match(faults[0]!, /^2:1 /);
	assert.match(told("a: 1\n\tb: 2\n")[0]!, /^2:1 .*[Tt]ab/);
	for (const tag of ["!!js/function", "!!binary", "!!timestamp", "!!set", "!own"])
		assert.match(told(`a: ${tag} x\n`).join(), /^1:\d+ .*tag/i, tag);
});

test("a key stands once in an object", () => {
	assert.deepEqual(told(`${RULE}metadata: {name: b}\n`), ["5:1 metadata: is there already"]);
	assert.deepEqual(told(`${RULE.replace("{host: a}", "{host: a, host: b}")}`), ["4:17 spec.host: is there already"]);
	assert.deepEqual(told("? [a]\n: b\n"), ["1:3 : has a key that is no text"]);
});

test("kind and apiVersion are among those that are known", () => {
	const kinds = "VirtualService, DestinationRule, ServiceEntry, PeerAuthentication, AuthorizationPolicy";
	assert.deepEqual(told(RULE.replace("DestinationRule", "DestinatonRule")), [
		`2:1 DestinatonRule default/a: kind: kind must be one of ${kinds}, not "DestinatonRule"; did you mean DestinationRule?`,
	]);
	assert.deepEqual(told(RULE.replace("DestinationRule", "Gateway")), [
		`2:1 Gateway default/a: kind: Gateway is Istio's, but is not supported here; supported are ${kinds}`,
	]);
	assert.deepEqual(told("apiVersion: v1\nmetadata: {name: a}\n"), [`1:1 : kind must be one of ${kinds}, not nothing`]);
	assert.deepEqual(told(RULE.replace("io/v1", "io/v2")), [
		'1:1 DestinationRule default/a: apiVersion: apiVersion of DestinationRule must be one of networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3, not "networking.istio.io/v2"',
	]);
	assert.match(told(RULE.replace("networking", "security"))[0]!, /^1:1 .*must be one of networking/);
	assert.match(told(RULE.replace("apiVersion: networking.istio.io/v1\n", ""))[0]!, /^1:1 .*not nothing$/);
	assert.deepEqual(told("- a\n"), ["1:1 : must be an object with apiVersion, kind, metadata and spec, not a list"]);
	for (const version of ["v1", "v1beta1", "v1alpha3"]) assert.deepEqual(told(RULE.replace("io/v1", `io/${version}`)), []);
});

test("metadata has a name, and what a cluster adds to it is no matter", () => {
	const metadata = "metadata: {name: a}";
	assert.deepEqual(told(RULE.replace(`${metadata}\n`, "")), ["1:1 DestinationRule: needs metadata"]);
	assert.deepEqual(told(RULE.replace(metadata, "metadata: {namespace: b}")), ["3:1 DestinationRule: metadata: needs name"]);
	assert.match(told(RULE.replace(metadata, "metadata: {name: A_b}"))[0]!, /^3:12 .*metadata.name: must be lower-case letters/);
	assert.match(
		told(RULE.replace(metadata, "metadata: {name: a, namespace: b.c}"))[0]!,
		/^3:21 .*metadata.namespace: must be lower-case/,
	);
	const more =
		"labels: {app: a}, annotations: {x: ''}, uid: 1, resourceVersion: '1', generation: 1, creationTimestamp: x, managedFields: []";
	assert.deepEqual(told(`${RULE.replace(metadata, `metadata: {name: a, ${more}}`)}status: {x: 1}\n`), []);
});

test("null is as if nothing stood there, but for an item of a list", () => {
	assert.deepEqual(told(RULE.replace("{host: a}", "{host: a, trafficPolicy: null, subsets: ~, exportTo:  }")), []);
	assert.deepEqual(told(RULE.replace("{host: a}", "{host: null}")), ["4:1 DestinationRule default/a: spec: needs host"]);
	assert.match(
		told(RULE.replace("{host: a}", "{host: a, subsets: [null]}")).join(),
		/subsets\[0\]: must be an object .* not nothing$/,
	);
});

test("a resource stands once in a mesh, for each kind and namespace", () => {
	assert.deepEqual(told(`${RULE}---\n${RULE}`), [
		"8:12 DestinationRule default/a: metadata.name: DestinationRule default/a is there already, in line 1 of mesh.yaml",
	]);
	assert.deepEqual(told(`${RULE}---\n${RULE.replace("{name: a}", "{name: a, namespace: shop}")}`), []);
	assert.deepEqual(told(`${RULE}---\n${RULE.replace("{name: a}", "{name: a, namespace: default}")}`).length, 1);
});

test("an alias stands for its anchor, and faults in it are told where it was written", () => {
	assert.deepEqual(
		told(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy: &shared
    loadBalancer: {simple: RANDOM}
  subsets:
    - {name: v1, trafficPolicy: *shared}
    - {name: v2, trafficPolicy: *shared}
`),
		[],
	);
	assert.deepEqual(told("a: *b\n")[0]?.slice(0, 4), "1:4 ");
	assert.ok(told("a: &a [*a]\n").length > 0);
	assert.match(told(RULE.replace("{host: a}", "\n  <<: {host: a}")).join(), /merge keys/);
});

test("aliases of aliases do not grow without bound", () => {
	const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
	for (let i = 1; i < 12; i++) lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(", ")}]`);
	assert.match(told(lines.join("\n")).join("\n"), /has more than \d+ values, aliases counted/);
});

test("depth and size are bounded", () => {
	assert.match(told(`a: ${"[".repeat(65)}${"]".repeat(65)}`).join(), /nested deeper than 64/);
	assert.ok(told(`a: ${"[".repeat(50_000)}`).length > 0);
	assert.ok(told("- ".repeat(20_000)).length > 0);
	assert.ok(told(`${"a: {".repeat(20_000)}`).length > 0);
	assert.match(told(" ".repeat((2 << 20) + 1)).join(), /^0:0 : is longer than 2 Mi characters$/);
});

test("of very many faults the first thousand are told, and that there are more", () => {
	const many = (count: number): string =>
		`${RULE.replace("{host: a}", "")}  host: a\n${Array.from({ length: count }, (_, i) => `  k${i}: 1\n`).join("")}`;
	assert.equal(told(many(1000)).length, 1000);
	assert.doesNotMatch(told(many(1000)).join(), /there are more/);
	const faults = told(`${many(1500)}---\n- a\n`);
	assert.equal(faults.length, 1001);
	assert.match(faults.at(-1)!, /and there are more: these are the first 1000$/);
	assert.equal(told(Array.from({ length: 3000 }, () => "a: 1\n").join("")).length, 1000);
});

test("names of Object's own are fields like others", () => {
	assert.deepEqual(told(RULE.replace("{host: a}", "{host: a, __proto__: {x: 1}, constructor: 1}")), [
		'4:17 DestinationRule default/a: spec.__proto__: unknown field "__proto__"; known here: host, trafficPolicy, subsets, exportTo or workloadSelector',
		'4:36 DestinationRule default/a: spec.constructor: unknown field "constructor"; known here: host, trafficPolicy, subsets, exportTo or workloadSelector',
	]);
	assert.equal(told(RULE.replace("kind: DestinationRule", "kind: constructor")).length, 1);
});

// ---- laws

const scalar = fc.oneof(fc.string({ maxLength: 12 }), fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
const names = fc.constantFrom(
	..."apiVersion kind metadata name namespace spec hosts http route match destination host subset port number weight timeout retries".split(
		" ",
	),
	..."attempts fault delay abort percentage value trafficPolicy loadBalancer simple tls mode subsets labels selector matchLabels mtls".split(
		" ",
	),
	..."portLevelMtls rules from to when source operation principals paths key values resolution endpoints address ports meshscope".split(
		" ",
	),
);
const words = fc.constantFrom(
	"networking.istio.io/v1",
	"VirtualService",
	"DestinationRule",
	"ServiceEntry",
	"a",
	"1s",
	"STRICT",
	"*",
);
const value = fc.letrec((tie) => ({
	any: fc.oneof(
		{ depthSize: "small" },
		words,
		scalar,
		fc.array(tie("any"), { maxLength: 4 }),
		fc.dictionary(names, tie("any"), { maxKeys: 6 }),
	),
})).any;
const KINDS = ["VirtualService", "DestinationRule", "ServiceEntry", "PeerAuthentication", "AuthorizationPolicy"];

const workload = {
	trustDomain: "cluster.local",
	namespace: "default",
	service: "a",
	workload: "a-v1",
	version: "v1",
	serviceAccount: "a",
	instanceId: "1",
	labels: { app: "a" },
};

test("any text is read without a throw, and so is any text in YAML's own characters", () => {
	const bytes = fc.uint8Array({ maxLength: 300 }).map((all) => new TextDecoder().decode(all));
	const yamlish = fc.string({ unit: fc.constantFrom(..."ab: -[]{}&*!|>'\"%@`#,?\n\t\r \u0000"), maxLength: 200 });
	fc.assert(
		fc.property(fc.oneof(bytes, yamlish), (text) => {
			const { documents, faults } = readMeshFile(text, "mesh.yaml");
			// Nothing random is a policy: what is there has a fault.
			if (documents.length > 0) assert.ok(faults.length > 0, text);
			for (const { line, column, message } of faults) assert.ok(line >= 0 && column >= 0 && message !== "");
		}),
		{ numRuns: 1000 },
	);
});

test("any value in place of a document or a spec is read and compiled without a throw", () => {
	const document = fc.tuple(fc.constantFrom(...KINDS), value).map(([kind, spec]) => ({
		apiVersion: kind.endsWith("n") || kind === "AuthorizationPolicy" ? "security.istio.io/v1" : "networking.istio.io/v1",
		kind,
		metadata: { name: "a" },
		spec,
	}));
	fc.assert(
		fc.property(fc.array(fc.oneof(value, document), { maxLength: 4 }), (values) => {
			compile(
				values.map((one, index) => ({ line: index + 1, file: "mesh.yaml", value: one })),
				workload,
				[],
			);
		}),
		{ numRuns: 1000 },
	);
});

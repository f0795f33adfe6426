import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TEXT_LIMITS, TextParser, TooManySamplesError } from "./prometheus-text.ts";
import type { ParsedText, TextLimits } from "./prometheus-text.ts";

function parse(text: string, isOpenMetrics = false, limits: Partial<TextLimits> = {}): ParsedText {
	const parser = new TextParser(text, isOpenMetrics, { ...TEXT_LIMITS, ...limits });
	// Small steps: nothing may depend on where one ends.
	while (parser.step(7));
	return parser.result();
}

/** `name{labels} value` of every counter and gauge. */
function plain(text: string, isOpenMetrics = false): string[] {
	return parse(text, isOpenMetrics).families.flatMap(({ name, type, series }) =>
		series.map(({ labels, value }) => `${type} ${name}${JSON.stringify(Object.fromEntries(labels))} ${value}`),
	);
}

test("the example of the format's own description is read whole", () => {
	const text = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="0.1"} 33444
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# Finally a summary, which has a complex representation, too:
# HELP rpc_duration_seconds A summary of the RPC duration in seconds.
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.99"} 76656
rpc_duration_seconds{quantile="0.5"} 4773
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
`;
	const { families, samples, invalidLines, complete } = parse(text);
	assert.deepEqual([samples, invalidLines, complete], [14, 0, true]);
	const [requests, msdos, , weird, histogram, summary] = families;
	assert.equal(requests?.help, "The total number of HTTP requests.");
	assert.deepEqual(requests?.series[0]?.labels, [
		["code", "200"],
		["method", "post"],
	]);
	assert.deepEqual(msdos?.series[0]?.labels, [
		["error", 'Cannot find file:\n"FILE.TXT"'],
		["path", "C:\\DIR\\FILE.TXT"],
	]);
	assert.equal(weird?.series[0]?.value, Number.POSITIVE_INFINITY);
	assert.deepEqual(histogram?.series, [
		{
			labels: [],
			value: 53_423,
			count: 144_320,
			parts: [
				[0.05, 24_054],
				[0.1, 33_444],
				[Number.POSITIVE_INFINITY, 144_320],
			],
			createdSeconds: undefined,
		},
	]);
	assert.deepEqual(summary?.series[0]?.parts, [
		[0.5, 4_773],
		[0.99, 76_656],
	]);
});

test("counters keep their samples' name, whether or not the declared one ends with _total", () => {
	assert.deepEqual(plain("# TYPE a_total counter\na_total 1\n"), ["counter a_total{} 1"]);
	assert.deepEqual(plain("# TYPE a counter\n# HELP a It.\na_total 1\n# EOF\n", true), ["counter a_total{} 1"]);
	assert.deepEqual(plain("# TYPE a counter\na 1\n"), ["counter a{} 1"], "Envoy's counters have no suffix");
	assert.deepEqual(plain("a_total 1\nb 2\n"), ["counter a_total{} 1", "gauge b{} 2"], "undeclared");
});

test("since when a series counts is read from OpenMetrics", () => {
	const text =
		'# TYPE a counter\na_total{x="1"} 5 # {trace_id="abc"} 1.0 1520879607.789\na_created{x="1"} 1520430000.123\n# EOF\n';
	const { families, samples, complete } = parse(text, true);
	assert.deepEqual([samples, complete], [2, true]);
	const values = families.map(({ name, series }) => [name, series[0]?.value, series[0]?.createdSeconds]);
	assert.deepEqual(values, [
		["a", undefined, 1520430000.123],
		["a_total", 5, undefined],
	]);
});

test("OpenMetrics ends with # EOF, and nothing behind it counts", () => {
	assert.equal(parse("a 1\n", true).complete, false);
	const ended = parse("a 1\n# EOF\nb 2\n", true);
	assert.deepEqual([ended.samples, ended.complete], [1, true]);
	assert.equal(parse("a 1\n# EOF\nb 2\n").samples, 2, "a mere comment elsewhere");
});

test("a text that was cut off is not complete", () => {
	assert.equal(parse("a 1\nb 2").complete, false);
	assert.equal(parse("a 1\nb 2").samples, 2);
	assert.equal(parse("").complete, true);
});

test("values in every writing", () => {
	const rows: readonly (readonly [string, number])[] = [
		["1", 1],
		["-1", -1],
		["+1.5", 1.5],
		[".5", 0.5],
		["5.", 5],
		["1e3", 1_000],
		["1E-3", 0.001],
		["NaN", Number.NaN],
		["nan", Number.NaN],
		["Inf", Number.POSITIVE_INFINITY],
		["+inf", Number.POSITIVE_INFINITY],
		["-Inf", Number.NEGATIVE_INFINITY],
		["-Infinity", Number.NEGATIVE_INFINITY],
		["9007199254740993", 9007199254740992],
	];
	for (const [text, value] of rows) assert.deepEqual(parse(`a ${text}\n`).families[0]?.series[0]?.value, value, text);
});

test("spaces, tabs, empty labels, trailing commas and line ends of other systems", () => {
	const lines = [
		"a {} 1",
		"a1\t2",
		'  a2 { x = "1" , y="2", } 3 ',
		'a3{x=""} 4\r',
		"a4{} 5 123",
		'{"a.5",x="}\\"{"} 6',
		'{"a.6"} 7',
		'a7{"x.y"="1"} 8',
	];
	assert.deepEqual(plain(`${lines.join("\n")}\n`), [
		"gauge a{} 1",
		"gauge a1{} 2",
		'gauge a2{"x":"1","y":"2"} 3',
		'gauge a3{"x":""} 4',
		"gauge a4{} 5",
		'gauge a.5{"x":"}\\"{"} 6',
		"gauge a.6{} 7",
		'gauge a7{"x.y":"1"} 8',
	]);
});

test("a line that cannot be read costs itself, and is named by its number", () => {
	const bad = [
		"a",
		"a b",
		"a 1 2 3",
		"a 1 x",
		"1a 1",
		'a{x="1" 1',
		'a{x="1} 1',
		"a{x=1} 1",
		'a{x="1"y="2"} 1',
		'a{x="1",x="2"} 1',
		'a{x="\\q"} 1',
		'a{"x"} 1',
		'{x="1"} 1',
		"{} 1",
		'a{=""} 1',
		"a 0x10",
		"a 1_000",
		"a --1",
		"é 1",
		'a{x="1"}',
	];
	for (const line of bad) {
		const { invalidLines, samples, problems, complete } = parse(`ok 1\n${line}\nfine 2\n`);
		assert.deepEqual([invalidLines, samples, complete], [1, 2, false], line);
		assert.match(problems[0]!, /^line 2: /, line);
	}
});

test("what is there twice counts once", () => {
	for (const text of [
		'a{x="1"} 1\na{x="1"} 2\n',
		'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 2\n',
		"# TYPE h histogram\nh_count 1\nh_count 2\n",
		"a 1\n# TYPE a counter\n",
	]) {
		const { samples, invalidLines } = parse(text);
		assert.deepEqual([samples, invalidLines], [1, 1], text);
	}
});

test("parts of histograms and summaries that lack what they need are refused", () => {
	for (const line of ["h_bucket 1", "h 1", 'h_bucket{le="x"} 1']) {
		const { samples, invalidLines } = parse(`# TYPE h histogram\n${line}\n`);
		assert.deepEqual([samples, invalidLines], [0, 1], line);
	}
	assert.equal(parse("# TYPE s summary\ns 1\n").invalidLines, 1);
});

test("suffixes belong to a family only where its type has them", () => {
	assert.deepEqual(plain("# TYPE a gauge\na_count 1\na_bucket 2\na_created 3\n"), [
		"gauge a_count{} 1",
		"gauge a_bucket{} 2",
		"gauge a_created{} 3",
	]);
});

test("labels like __proto__ are labels like any other", () => {
	const { families } = parse('__proto__{__proto__="x",constructor="y"} 1\n');
	assert.deepEqual(families[0]?.series[0]?.labels, [
		["__proto__", "x"],
		["constructor", "y"],
	]);
});

test("lines, labels and samples are bounded", () => {
	const long = parse(`a{x="${"y".repeat(100)}"} 1\nb 2\n`, false, { maxLineChars: 50 });
	assert.deepEqual([long.samples, long.invalidLines], [1, 1]);
	const many = `a{${Array.from({ length: 5 }, (_, i) => `l${i}="x"`).join()}} 1\n`;
	assert.equal(parse(many, false, { maxLabels: 4 }).invalidLines, 1);
	assert.throws(() => parse("a 1\nb 1\nc 1\n", false, { maxSamples: 2 }), TooManySamplesError);
	assert.throws(() => parse("# HELP a\n# HELP b\n# HELP c\n", false, { maxSamples: 2 }), TooManySamplesError);
});

test("no text makes it throw, and reading on is linear", () => {
	const piece = fc.oneof(
		fc.constantFrom(
			"a",
			"{",
			"}",
			'"',
			"\\",
			"=",
			",",
			" ",
			"\n",
			"1",
			"NaN",
			"# TYPE a histogram\n",
			"a_bucket",
			'le="1"',
			"# EOF",
		),
		fc.string(),
	);
	fc.assert(
		fc.property(fc.array(piece, { maxLength: 60 }), fc.boolean(), (pieces, isOpenMetrics) => {
			const { samples, families } = parse(pieces.join(""), isOpenMetrics);
			assert.ok(samples >= 0 && families.length <= samples);
		}),
	);
	const hostile = [
		'a{x="',
		"\\".repeat(60_000),
		"\n",
		"a".repeat(60_000),
		" \t".repeat(30_000),
		"x\n",
		"#".repeat(60_000),
		"\n",
	].join("");
	const before = process.cpuUsage();
	parse(hostile);
	const { user, system } = process.cpuUsage(before);
	assert.ok(user + system < 2e6, `${(user + system) / 1e6} s`);
});

test("what a series is written as is what is read", () => {
	const label = fc.string({ unit: "grapheme", maxLength: 20 });
	const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
	fc.assert(
		fc.property(fc.array(fc.tuple(label, fc.double()), { minLength: 1, maxLength: 10 }), (rows) => {
			const unique = new Map(rows);
			const text = [...unique].map(([value, number]) => `m{l="${escaped(value)}"} ${number}\n`).join("");
			const read = new Map(parse(text).families[0]?.series.map(({ labels, value }) => [labels[0]![1], value]));
			assert.deepEqual(read, new Map([...unique].map(([value, number]) => [value, Object.is(number, -0) ? 0 : number])));
		}),
	);
});

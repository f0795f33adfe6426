import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compilePattern } from "./regex.ts";

function whole(source: string): RegExp {
	const compiled = compilePattern(source, "whole");
	assert.ok(compiled.ok, `${source}: ${compiled.ok ? "" : compiled.reason}`);
	return compiled.pattern;
}

function reasonOf(source: string, extent: "whole" | "part" = "whole"): string {
	const compiled = compilePattern(source, extent);
	return compiled.ok ? `accepted as ${String(compiled.pattern)}` : compiled.reason;
}

test("RE2's meaning is kept where JavaScript has another one", () => {
	const cases: readonly (readonly [source: string, value: string, matches: boolean])[] = [
		["a|b", "ab", false],
		["a|b", "b", true],
		["a.c", "a\nc", false],
		["a.c", "a\rc", true],
		["(?s)a.c", "a\nc", true],
		["(?i)Reviews", "rEVIEWS", true],
		["(?i)[^a]", "A", false],
		["(?i:a)b", "Ab", true],
		["(?i:a)b", "AB", false],
		["\\Aab\\z", "ab", true],
		["a$", "a\n", false],
		["[[:digit:]]+", "123", true],
		["[[:^digit:]]+", "123", false],
		["[]a]+", "]a", true],
		["[^]a]", "b", true],
		["[a-]+", "a-", true],
		["[\\d.]+", "1.2", true],
		["\\Qa.b\\E", "a.b", true],
		["\\Qa.b\\E", "axb", false],
		["(?P<name>a)(?<other>b)", "ab", true],
		["\\s", "\v", false],
		["[[:space:]]", "\v", true],
		["\\x41\\x{42}", "AB", true],
		["a{2}", "aa", true],
		["a{,2}", "a{,2}", true],
		["{a}", "{a}", true],
		["[^/]+", "é", true],
		["\\W", "é", true],
		["\\bab\\b", "ab", true],
		["", "", true],
		["", "a", false],
		["a{0}b", "b", true],
	];
	for (const [source, value, matches] of cases)
		assert.equal(whole(source).test(value), matches, `${source} on ${JSON.stringify(value)}`);
});

/** Of the syntax that both share, without what may take long. */
const shared = fc.letrec<{ node: string; atom: string }>((tie) => ({
	atom: fc.oneof(
		{ weight: 4, arbitrary: fc.constantFrom("a", "b", "c", "/", "\\.", "[ab]", "[^a]", "[a-c/]", "\\d", "\\w", "\\W") },
		{ weight: 1, arbitrary: tie("node").map((one) => `(${one})`) },
		{ weight: 1, arbitrary: tie("node").map((one) => `(?:${one})`) },
	),
	node: fc.oneof(
		{ depthSize: "small" },
		tie("atom"),
		fc
			.tuple(tie("atom"), fc.constantFrom("", "*", "+", "?", "{2}", "{1,3}", "*?", "+?"))
			.map(([atom, times]) => atom + times),
		fc.tuple(tie("node"), tie("node")).map(([a, b]) => a + b),
		fc.tuple(tie("node"), tie("node")).map(([a, b]) => `${a}|${b}`),
	),
})).node;

test("a pattern of the shared syntax that is accepted matches as JavaScript's does", () => {
	let accepted = 0;
	fc.assert(
		fc.property(
			shared,
			fc.array(fc.string({ unit: fc.constantFrom(..."abc/.1 "), maxLength: 8 }), { maxLength: 20 }),
			(source, values) => {
				const compiled = compilePattern(source, "whole");
				if (!compiled.ok) return;
				accepted++;
				const expected = new RegExp(`^(?:${source})$`);
				for (const value of values) {
					assert.equal(compiled.pattern.test(value), expected.test(value), `${source} on ${value}`);
					assert.deepEqual(
						[...(compiled.pattern.exec(value) ?? [])],
						[...(expected.exec(value) ?? [])],
						`${source} on ${value}`,
					);
				}
				assert.equal(compiled.groups, new RegExp(`${source}|`).exec("")!.length - 1);
			},
		),
		{ numRuns: 1000 },
	);
	assert.ok(accepted > 200, `only ${accepted} patterns were accepted`);
});

test("any text is compiled or refused with a reason", () => {
	const unit = fc.constantFrom(..."ab()[]{}*+?|^$.\\,-:12dwsQEPx<>i=!é\n");
	fc.assert(
		fc.property(fc.string({ unit, maxLength: 60 }), fc.constantFrom("whole" as const, "part" as const), (source, extent) => {
			const compiled = compilePattern(source, extent);
			assert.ok(compiled.ok || compiled.reason.length > 0);
			assert.doesNotMatch(compiled.ok ? "" : compiled.reason, /cannot be read/, source);
		}),
		{ numRuns: 5000 },
	);
});

test("what RE2 refuses is refused, by name", () => {
	const cases: readonly (readonly [string, RegExp])[] = [
		["a(?=b)", /lookaround/],
		["a(?!b)", /lookaround/],
		["(?<=a)b", /lookaround/],
		["(?<!a)b", /lookaround/],
		["(a)\\1", /backreference/],
		["(?>a)", /group that RE2 does not have/],
		["a++", /repetition of a repetition/],
		["a**", /repetition of a repetition/],
		["*a", /nothing before it/],
		["a|*", /nothing before it/],
		["(a", /without a closing/],
		["a)", /without an opening/],
		["[a", /\[ without \]/],
		["[b-a]", /range/],
		["[\\d-z]", /range/],
		["[[:nope:]]", /class \[:nope:\]/],
		["a\\", /ends with a backslash/],
		["a{1001}", /\{1000\}/],
		["a{3,2}", /smaller number first/],
		["\\pL", /escape \\p/],
		["\\C", /escape \\C/],
		["a(?i)b", /at the beginning/],
		["(?m)a", /flag m/],
		["^*", /repeats an assertion/],
		["é", /ASCII/],
		["\\xe9", /\\x/],
		["a".repeat(1025), /longer than 1024/],
		["(".repeat(200) + "a" + ")".repeat(200), /nested deeper/],
	];
	for (const [source, reason] of cases) assert.match(reasonOf(source), reason, source.slice(0, 40));
});

test("patterns that backtrack exponentially are refused", () => {
	const cases = [
		"(a+)+",
		"(a+)+b",
		"(a*)*",
		"([a-z]+)*",
		"(a|a)*",
		"(ab|a|b)*",
		"(a|ab|b|ba)+c",
		"(x+x+)+y",
		"((a|b)*c?)*",
		"(a?b?)*",
		"(a|a){30}",
		"(.{1,100}){1,100}",
		"(\\w+\\s?)*",
		"(.*,)*x",
	];
	for (const source of cases) assert.match(reasonOf(source), /exponential|may be empty/, source);
	for (const source of ["(a?){25}a{25}", "(a*){30}b", "(a?){3,}b"])
		assert.match(reasonOf(source), /may be empty|exponential/, source);
});

test("patterns whose time grows faster than with the square are refused", () => {
	for (const source of [".*a.*b.*c", ".*.*.*x", "(.*)(.*)(.*)x", "\\d*\\d*\\d*x"])
		assert.match(reasonOf(source), /power of 3/, source);
	for (const source of [".*a.*b", ".*a.*b.*", "/[^/]+/[^/]+/[^/]+/[^/]+", ".*"])
		assert.match(reasonOf(source), /^accepted/, source);
	// A search begins anew at each character.
	assert.match(reasonOf("a.*b.*c", "whole"), /^accepted/);
	assert.match(reasonOf("a.*b.*c", "part"), /power of 3/);
	assert.match(reasonOf("^a.*b.*c", "part"), /^accepted/);
	assert.match(reasonOf("^a|a.*b.*c", "part"), /power of 3/);
});

test("patterns as policies have them are accepted", () => {
	const cases = [
		"^(.*?;)?(user=jason)(;.*)?$",
		"/api/v[0-9]+/.*",
		"([a-z0-9-]+\\.)*example\\.com",
		"(\\d{1,3}\\.){3}\\d{1,3}",
		"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
		"([0-9a-f]{2})*",
		"(?i)^/(reviews|ratings)(/.*)?$",
		".*Mozilla.*(Chrome|Firefox).*",
		"^bearer [A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
		"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\\.[a-zA-Z]{2,}",
		".{0,1000}x",
		"(xa|xb)*c",
	];
	for (const source of cases) assert.match(reasonOf(source), /^accepted/, source);
});

test("an accepted pattern takes no more than the square of the value's length in steps", () => {
	// Worst cases for backtracking: long runs that almost match. Exponential time would not end here, so no clock is needed.
	const values = ["a", "ab", "ba", "abc/", "a,", "aA1"].map((unit) => `${unit.repeat(1200)}!`);
	fc.assert(
		fc.property(shared, (source) => {
			const compiled = compilePattern(source, "whole");
			if (compiled.ok) for (const value of values) compiled.pattern.test(value);
		}),
		{ numRuns: 500 },
	);
});

test("a part is found in each place, and a whole from end to end only", () => {
	const part = compilePattern("b+", "part");
	assert.ok(part.ok);
	assert.equal("abbcb".replace(part.pattern, "x"), "axcx");
	assert.equal(whole("b+").test("abbc"), false);
});

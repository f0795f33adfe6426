import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { normalizePath } from "./normalize-path.ts";

/** The cases of Envoy's own tests (test/common/http/path_utility_test.cc), and of Istio's page on normalisation. */
test("paths are normalised as Envoy's normalize_path does", () => {
	for (const [path, expected] of [
		["/xyz", "/xyz"],
		["/x/y/z", "/x/y/z"],
		["/a/b/../c", "/a/c"],
		["/a/b/./c", "/a/b/c"],
		["a/b/../c", "/a/c"],
		["/a/b/../../../../c", "/c"],
		["/a/..\\c", "/c"],
		["/%c0%af", "/%c0%af"],
		["/%5c%25", "/%5c%25"],
		["/a/b/%2E%2E/c", "/a/c"],
		["/a/b/%2e%2e/c", "/a/c"],
		["/a/b/%2E./c", "/a/c"],
		["/a/b/%2E/c", "/a/b/c"],
		["..", "/"],
		["/../a/b", "/a/b"],
		["/./a/b", "/a/b"],
		["/A/B/C", "/A/B/C"],
		["/a/%2F%2f/c", "/a/%2F%2f/c"],
		["/some\\data", "/some/data"],
		["/data/%61%62%63", "/data/abc"],
		["/%2d%2E%5f%7E%30%39", "/-._~09"],
		["/public/./data/abc/../xyz", "/public/data/xyz"],
		// BASE does not merge slashes.
		["/some//data", "/some//data"],
		// Once: what decodes to an escape is not decoded again.
		["/%252e%252e/a", "/%252e%252e/a"],
		["/a/..", "/"],
		["/a/b/..", "/a/"],
		["/a/.", "/a/"],
		["/...", "/..."],
		["/.hidden", "/.hidden"],
		["/a..", "/a.."],
		// Seen in Envoy 1.40: parameters of a dot segment go with it.
		["/public/..;/admin", "/admin"],
		["/public/..;a=b;c/admin", "/admin"],
		["/a/.;/b", "/a/b"],
		["/a/...;/b", "/a/...;/b"],
		["/a/b;x/c", "/a/b;x/c"],
		// Envoy leaves this one, which a servlet container would take for /b: here it is stricter.
		["/a/%2e%2e;/b", "/b"],
		["/%", "/%"],
		["/%4", "/%4"],
		["*", "*"],
		["", ""],
	] as const) {
		assert.equal(normalizePath(path), expected, path);
	}
});

test("query and fragment are left out and never normalised", () => {
	for (const [path, expected] of [
		["/abc?", "/abc"],
		["/abc?param=/../x", "/abc"],
		["/abc#fragment?param", "/abc"],
		["/abc#?", "/abc"],
		["/a/../b?x=/a", "/b"],
		["/a%3fb", "/a%3fb"],
		["/a?%00", "/a"],
	] as const) {
		assert.equal(normalizePath(path), expected, path);
	}
});

test("a path with an encoded NUL has no normal form", () => {
	for (const path of ["/xyz/.%00../abc", "/xyz/%00.%00./abc", "/xyz/AAAAA%%0000/abc", "/%00"]) {
		assert.equal(normalizePath(path), undefined, path);
	}
});

test("what is normal stays, begins with a slash, and no dot segment or backslash is left", () => {
	const piece = fc.constantFrom("/", "..", ".", "a", "%2e", "%2E", "\\", "%2f", "%41", "admin", "//", "%", "%5c", ";");
	fc.assert(
		fc.property(
			fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`),
			(path) => {
				const normal = normalizePath(path)!;
				assert.match(normal, /^\//);
				assert.doesNotMatch(normal, /\\|\/\.{1,2}(?:[/;]|$)/);
				// A second time only what `%` and two digits become of it may change: `%%41` is `%A` and stays it.
				if (!normal.includes("%")) assert.equal(normalizePath(normal), normal);
			},
		),
		{ numRuns: 2_000 },
	);
});

/**
 * Paths in the form that policies are written for, so that `/public/../admin`, `/public/%2e%2e/admin` and `/public\..\admin` are
 * `/admin`: Istio's default path normalisation (BASE), which is Envoy's normalize_path. Unreserved characters are decoded once, a
 * backslash is a slash, dot segments are collapsed (RFC 3986). Slashes are not merged and `%2F` and `%5C` stay, as with BASE.
 *
 * What was authorised is what should go on: a proxy that authorises paths forwards the normalised one.
 */

let lastPath = "";
let lastNormalized: string | undefined = "";

/**
 * Without query and fragment. Undefined for a path with `%00`, which Istio answers with 400. A path that is normal already, as nearly
 * all are, is returned as it is. The last answer is kept, since each rule of a policy asks about the same path.
 */
export function normalizePath(path: string): string | undefined {
	if (path !== lastPath) {
		lastNormalized = normalize(path);
		lastPath = path;
	}
	return lastNormalized;
}

function normalize(path: string): string | undefined {
	const end = endOfPath(path);
	const bare = end === path.length ? path : path.slice(0, end);
	if (bare === "" || bare === "*") return bare;
	const isNormal = bare.startsWith("/") && !bare.includes("%") && !bare.includes("\\") && !bare.includes("/.");
	if (isNormal) return bare;
	if (bare.includes("%00")) return undefined;
	const slashed = decodeUnreserved(bare).replaceAll("\\", "/");
	return collapseDots(slashed.startsWith("/") ? slashed : `/${slashed}`);
}

function endOfPath(path: string): number {
	for (let i = 0; i < path.length; i++) {
		const code = path.charCodeAt(i);
		if (code === 63 || code === 35) return i;
	}
	return path.length;
}

/** RFC 3986, section 2.3: letters, digits, `-`, `.`, `_`, `~`. Once: `%252e` stays `%252e`. */
function decodeUnreserved(path: string): string {
	if (!path.includes("%")) return path;
	return path.replaceAll(/%[0-9a-f]{2}/gi, (escape) => {
		const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
		return /[\w.~-]/.test(character) ? character : escape;
	});
}

/**
 * RFC 3986, section 5.2.4; `..` above the root stays at the root. A dot segment with parameters (`..;x`) is one too, as in Envoy, since
 * servlet containers take it for one.
 */
function collapseDots(path: string): string {
	if (!path.includes("/.")) return path;
	const kept: string[] = [];
	const segments = path.split("/");
	for (const [index, segment] of segments.entries()) {
		const dots = /^(\.{1,2})(?:;|$)/.exec(segment)?.[1];
		if (dots === undefined) {
			kept.push(segment);
			continue;
		}
		if (dots === ".." && kept.length > 1) kept.pop();
		if (index === segments.length - 1) kept.push("");
	}
	return kept.join("/");
}

/**
 * Paths in the form that policies are written for, so that `/public/../admin`, `/public/%2e%2e/admin` and `/public\..\admin` are
 * `/admin`: Istio's default path normalisation (BASE), which is Envoy's normalize_path. RFC 3986: unreserved characters are decoded,
 * dot segments collapsed; and a backslash is a slash. Slashes are not merged and `%2F` stays, as with BASE.
 *
 * What was authorised is what should go on: a proxy that authorises paths forwards the normalised one.
 */

/** Without query and fragment. A path that is normal already, as nearly all are, is returned as it is. */
export function normalizePath(path: string): string {
	let bare = path;
	for (let i = 0; i < path.length; i++) {
		const code = path.charCodeAt(i);
		if (code === 63 || code === 35) {
			bare = path.slice(0, i);
			break;
		}
	}
	if (!bare.includes("%") && !bare.includes("\\") && !bare.includes("/.")) return bare;
	const slashed = decodeUnreserved(bare).replaceAll("\\", "/");
	return slashed.includes("/.") ? collapseDots(slashed) : slashed;
}

/** RFC 3986, section 2.3: letters, digits, `-`, `.`, `_`, `~`. Once: `%252e` stays `%252e`. */
function decodeUnreserved(path: string): string {
	if (!path.includes("%")) return path;
	return path.replaceAll(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
		const character = String.fromCharCode(Number.parseInt(hex, 16));
		return /[\w.~-]/.test(character) ? character : escape.toUpperCase();
	});
}

/** RFC 3986, section 5.2.4; `..` above the root stays at the root. */
function collapseDots(path: string): string {
	const kept: string[] = [];
	const segments = path.split("/");
	for (const [index, segment] of segments.entries()) {
		const isLast = index === segments.length - 1;
		if (segment === "..") {
			if (kept.length > 1) kept.pop();
			if (isLast) kept.push("");
		} else if (segment === ".") {
			if (isLast) kept.push("");
		} else kept.push(segment);
	}
	return kept.join("/");
}

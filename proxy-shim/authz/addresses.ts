/** Blocks of IP addresses, v4 and v6 in one form: 128 bits as four words, v4 as mapped into v6 (`::ffff:a.b.c.d`). */

export interface IpBlock {
	readonly words: Uint32Array;
	readonly masks: Uint32Array;
}

const MAPPED = 0xffff;
const WHOLE_WORD = 0xffff_ffff;

/** Of `10.0.0.0/8`, `10.1.2.3`, `fd00::/8`; undefined where it is none. Bits beyond the prefix do not count. */
export function parseIpBlock(text: string): IpBlock | undefined {
	const slash = text.indexOf("/");
	const address = slash < 0 ? text : text.slice(0, slash);
	const words = new Uint32Array(4);
	if (!parseIp(address, words)) return undefined;
	const isV4 = !address.includes(":");
	let bits = isV4 ? 32 : 128;
	if (slash >= 0) {
		const length = text.slice(slash + 1);
		if (!/^\d{1,3}$/.test(length) || Number(length) > bits) return undefined;
		bits = Number(length);
	}
	if (isV4) bits += 96;
	const masks = new Uint32Array(4);
	for (let word = 0; word < 4; word++) {
		const kept = Math.min(32, Math.max(0, bits - 32 * word));
		masks[word] = kept === 0 ? 0 : -1 << (32 - kept);
		words[word]! &= masks[word]!;
	}
	return { words, masks };
}

export function isInBlock(block: IpBlock, address: Uint32Array): boolean {
	const { words, masks } = block;
	// `::/0` is every IPv6 address and no IPv4 one, as in Envoy.
	const isMapped = address[2] === MAPPED && address[1] === 0 && address[0] === 0;
	if (isMapped && masks[2] !== WHOLE_WORD) return false;
	for (let word = 3; word >= 0; word--) {
		if ((address[word]! & masks[word]!) >>> 0 !== words[word]!) return false;
	}
	return true;
}

/** Into `words`; false where it is no address. A zone (`fe80::1%eth0`) is left out. */
export function parseIp(text: string, words: Uint32Array): boolean {
	if (!text.includes(":")) {
		const v4 = parseV4(text, 0);
		words[0] = 0;
		words[1] = 0;
		words[2] = MAPPED;
		words[3] = v4;
		return v4 >= 0;
	}
	return parseV6(text, words);
}

/** As an unsigned number; -1 where it is none. Strict: four decimals without leading zeros. */
function parseV4(text: string, start: number): number {
	let address = 0;
	let octet = -1;
	let dots = 0;
	for (let i = start; i < text.length; i++) {
		const code = text.charCodeAt(i);
		if (code === 46) {
			if (octet < 0 || dots === 3) return -1;
			address = address * 256 + octet;
			octet = -1;
			dots++;
			continue;
		}
		const digit = code - 48;
		if (digit < 0 || digit > 9 || octet === 0) return -1;
		octet = octet < 0 ? digit : octet * 10 + digit;
		if (octet > 255) return -1;
	}
	return dots === 3 && octet >= 0 ? address * 256 + octet : -1;
}

function parseV6(text: string, words: Uint32Array): boolean {
	const zone = text.indexOf("%");
	const end = zone < 0 ? text.length : zone;
	const groups = [0, 0, 0, 0, 0, 0, 0, 0];
	let count = 0;
	/** How many groups stand before `::`; -1 without one. */
	let gap = -1;
	let i = 0;
	if (text.startsWith("::")) {
		gap = 0;
		i = 2;
	} else if (text.startsWith(":")) return false;
	while (i < end) {
		if (count === 8) return false;
		let group = 0;
		const start = i;
		for (; i < end; i++) {
			const digit = hexDigit(text.charCodeAt(i));
			if (digit < 0) break;
			group = group * 16 + digit;
		}
		if (i < end && text[i] === ".") {
			const v4 = parseV4(zone < 0 ? text : text.slice(0, end), start);
			if (v4 < 0 || count > 6) return false;
			groups[count++] = Math.floor(v4 / 65_536);
			groups[count++] = v4 % 65_536;
			i = end;
			break;
		}
		if (i === start || i - start > 4) return false;
		groups[count++] = group;
		if (i === end) break;
		if (text[i] !== ":") return false;
		i++;
		if (text[i] === ":") {
			if (gap >= 0) return false;
			gap = count;
			i++;
		} else if (i === end) return false;
	}
	if (gap < 0 ? count !== 8 : count > 7) return false;
	const missing = 8 - count;
	for (let word = 0; word < 4; word++) words[word] = (groupAt(2 * word) << 16) | groupAt(2 * word + 1);
	return true;

	function groupAt(index: number): number {
		if (gap < 0 || index < gap) return groups[index]!;
		return index < gap + missing ? 0 : groups[index - missing]!;
	}
}

function hexDigit(code: number): number {
	if (code >= 48 && code <= 57) return code - 48;
	const lower = code | 32;
	return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Addresses as a policy writes them: strict, as a proxy will dial or compare them. */

/** Numeric IPv4 (four decimal octets, no leading zeros) or IPv6 (RFC 4291, section 2.2; no zone). */
export function isIpAddress(text: string): boolean {
	return isIpv4(text) || isIpv6(text);
}

/** An address, or an address with a prefix length (CIDR). */
export function isIpBlock(text: string): boolean {
	const slash = text.indexOf("/");
	if (slash < 0) return isIpAddress(text);
	const address = text.slice(0, slash);
	const length = text.slice(slash + 1);
	if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return false;
	return isIpv4(address) ? Number(length) <= 32 : isIpv6(address) && Number(length) <= 128;
}

function isIpv4(text: string): boolean {
	const octets = text.split(".", 5);
	return octets.length === 4 && octets.every((octet) => /^(?:0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255);
}

function isIpv6(text: string): boolean {
	if (text.length > 45 || !text.includes(":")) return false;
	const halves = text.split("::");
	if (halves.length > 2) return false;
	const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
	let count = 0;
	for (const [index, group] of groups.entries()) {
		// An IPv4 address may stand in place of the last two groups.
		const isLast = index === groups.length - 1 && !text.endsWith("::");
		if (isLast && group.includes(".")) {
			if (!isIpv4(group)) return false;
			count += 2;
		} else if (/^[0-9A-Fa-f]{1,4}$/.test(group)) count++;
		else return false;
	}
	return halves.length === 2 ? count < 8 : count === 8;
}

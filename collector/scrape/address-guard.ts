/**
 * Addresses that a scraper is not to be led to: a target's name may be anybody's to resolve, and the services that clouds put on
 * link-local addresses hand out credentials to whoever asks from this machine.
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";

const REFUSED = new BlockList();
// Link-local, where clouds have their metadata services.
REFUSED.addSubnet("169.254.0.0", 16, "ipv4");
REFUSED.addSubnet("fe80::", 10, "ipv6");
// Metadata services elsewhere: EC2, Alibaba, Oracle, Azure's wire server, Google over IPv6.
REFUSED.addAddress("fd00:ec2::254", "ipv6");
REFUSED.addAddress("100.100.100.200", "ipv4");
REFUSED.addAddress("192.0.0.192", "ipv4");
REFUSED.addAddress("168.63.129.16", "ipv4");
REFUSED.addAddress("fd20:ce::254", "ipv6");
// Nobody's address, and everybody's.
REFUSED.addAddress("0.0.0.0", "ipv4");
REFUSED.addAddress("::", "ipv6");
REFUSED.addAddress("255.255.255.255", "ipv4");
REFUSED.addSubnet("224.0.0.0", 4, "ipv4");
REFUSED.addSubnet("ff00::", 8, "ipv6");

const REFUSED_NAMES: ReadonlySet<string> = new Set([
	"metadata",
	"metadata.google.internal",
	"metadata.goog",
	"metadata.azure.internal",
	"instance-data",
	"instance-data.ec2.internal",
]);

/** Whether a host name or literal address, without brackets, is refused before it is looked up. */
export function isRefusedHost(host: string): boolean {
	const name = host.toLowerCase().replace(/\.$/, "");
	return REFUSED_NAMES.has(name) || (isAddress(name) && isRefusedAddress(name));
}

export function isAddress(host: string): boolean {
	return isIPv4(host) || isIPv6(host);
}

export function isRefusedAddress(address: string): boolean {
	const bare = address.replace(/%.*$/, "");
	if (isIPv4(bare)) return REFUSED.check(bare, "ipv4");
	if (!isIPv6(bare)) return true;
	if (REFUSED.check(bare, "ipv6")) return true;
	const inner = embeddedIpv4(bare);
	return inner !== undefined && REFUSED.check(inner, "ipv4");
}

/** The IPv4 address that a gateway reaches for an IPv6 one: mapped, compatible, NAT64 and 6to4. */
function embeddedIpv4(address: string): string | undefined {
	const words = ipv6Words(address);
	const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join(".");
	const startsWith = (...prefix: number[]): boolean => prefix.every((word, i) => words[i] === word);
	if (startsWith(0x2002)) return dotted(words[1]!, words[2]!);
	if (
		startsWith(0, 0, 0, 0, 0, 0xffff) ||
		startsWith(0, 0, 0, 0, 0, 0) ||
		startsWith(0, 0, 0, 0, 0xffff, 0) ||
		startsWith(0x64, 0xff9b)
	)
		return dotted(words[6]!, words[7]!);
	return undefined;
}

function ipv6Words(address: string): number[] {
	// A URL writes the address in hex words alone, its last two included.
	const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
	const [head = "", tail] = canonical.split("::");
	const words = (part: string): number[] => (part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16)));
	const first = words(head);
	const last = tail === undefined ? [] : words(tail);
	return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}

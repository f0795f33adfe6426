/**
 * What a proxy says of itself, read from the wire: every field checked and bounded before anything is remembered. Identity is not
 * decided here.
 */
import { isIP } from "node:net";
import { MeshscopeError } from "../../model/errors.ts";
import type { Frame } from "../../model/mesh/frames.ts";
import type { Registration } from "../../model/mesh/control-protocol.ts";
import type { Workload } from "../../model/mesh/proxy-config.ts";

export interface Hello {
	readonly instanceId: string;
	readonly workload: Workload;
	readonly token: string | undefined;
	readonly proxyVersion: string;
	readonly policyVersion: string;
	readonly registration: Registration | undefined;
}

const MAX_TEXT = 253;
const MAX_LABELS = 64;
const MAX_PORTS = 64;
const PROTOCOLS = ["http", "http2", "grpc", "tcp"] as const;
const INSTANCE_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,126}[A-Za-z0-9])?$/;

/** @throws MeshscopeError `protocol_violation` that names the field */
export function readHello(frame: Frame, remoteAddress: string): Hello {
	const workload = objectOf(frame["workload"], "hello.workload");
	const instanceId = readInstanceId(frame);
	const told = (name: string): string => textOf(workload[name], `hello.workload.${name}`);
	return {
		instanceId,
		workload: {
			trustDomain: told("trustDomain"),
			namespace: told("namespace"),
			service: told("service"),
			workload: told("workload"),
			version: told("version"),
			serviceAccount: told("serviceAccount"),
			instanceId,
			labels: labelsOf(workload["labels"] ?? {}),
		},
		token: frame["token"] === undefined ? undefined : textOf(frame["token"], "hello.token", 512),
		proxyVersion: textOf(frame["proxyVersion"] ?? "", "hello.proxyVersion"),
		policyVersion: textOf(frame["policyVersion"] ?? "", "hello.policyVersion"),
		registration: frame["registration"] === undefined ? undefined : registrationOf(frame["registration"], remoteAddress),
	};
}

/** Of any message. @throws MeshscopeError `protocol_violation` */
export function readInstanceId(frame: Frame): string {
	const id = frame["instanceId"];
	if (typeof id === "string" && INSTANCE_ID.test(id)) return id;
	throw violation(`${frame.kind}.instanceId`, "must be 1 to 128 letters, digits, dots, dashes, underscores and colons");
}

function registrationOf(value: unknown, remoteAddress: string): Registration {
	const given = objectOf(value, "hello.registration");
	const ports = given["ports"];
	if (!Array.isArray(ports) || ports.length > MAX_PORTS)
		throw violation("hello.registration.ports", `must be a list of at most ${MAX_PORTS}`);
	const hboneAddress = given["hboneAddress"];
	return {
		ports: ports.map((one: unknown, index) => {
			const at = `hello.registration.ports[${index}]`;
			const port = objectOf(one, at);
			const protocol = PROTOCOLS.find((name) => name === port["protocol"]);
			if (protocol === undefined) throw violation(`${at}.protocol`, `must be one of ${PROTOCOLS.join(", ")}`);
			return {
				servicePort: portOf(port["servicePort"], `${at}.servicePort`),
				address: addressOf(port["address"], `${at}.address`, remoteAddress),
				port: portOf(port["port"], `${at}.port`),
				protocol,
			};
		}),
		...(hboneAddress === undefined ? {} : { hboneAddress: hboneAddressOf(hboneAddress, remoteAddress) }),
	};
}

/** An address of every interface is told as the one that the connection came from. */
function addressOf(value: unknown, at: string, remoteAddress: string): string {
	const address = textOf(value, at);
	if (address === "" || address === "0.0.0.0" || address === "::") return remoteAddress;
	if (isIP(address) === 0) throw violation(at, "must be a numeric address");
	return address;
}

function hboneAddressOf(value: unknown, remoteAddress: string): string {
	const at = "hello.registration.hboneAddress";
	const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]*)):(\d{1,5})$/i.exec(textOf(value, at));
	if (match === null) throw violation(at, "must be ADDRESS:PORT, with brackets around IPv6");
	const address = addressOf(match[1] ?? match[2], at, remoteAddress);
	const port = portOf(Number(match[3]), at);
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function labelsOf(value: unknown): Readonly<Record<string, string>> {
	const labels = Object.entries(objectOf(value, "hello.workload.labels"));
	if (labels.length > MAX_LABELS) throw violation("hello.workload.labels", `has more than ${MAX_LABELS} entries`);
	for (const [name] of labels) textOf(name, "hello.workload.labels");
	return Object.fromEntries(labels.map(([name, text]) => [name, textOf(text, "hello.workload.labels")]));
}

function objectOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
	if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
	throw violation(at, "must be an object");
}

function textOf(value: unknown, at: string, max = MAX_TEXT): string {
	if (typeof value === "string" && value.length <= max) return value;
	throw violation(at, `must be text of at most ${max} characters`);
}

function portOf(value: unknown, at: string): number {
	if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535) return value;
	throw violation(at, "must be a port from 1 to 65535");
}

export function violation(at: string, reason: string): MeshscopeError {
	return new MeshscopeError("protocol_violation", `${at} ${reason}`);
}

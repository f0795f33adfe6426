/**
 * One entry of Envoy's gRPC access log, read into the attributes that are documented for its OpenTelemetry access log.
 *
 * All values are texts, as they are there. What has no documented name gets the one of Istio's JSON log. Filter state and dynamic
 * metadata are not read.
 * Field numbers: envoy/data/accesslog/v3/accesslog.proto and envoy/config/core/v3/address.proto as compiled into Envoy 1.40.
 */
import { WIRE_LENGTH, WIRE_VARINT, type WireReader } from "../../model/protobuf/reader.ts";
import { HTTP_VERSIONS, LOG_TYPES, METHODS, RESPONSE_FLAGS, TLS_VERSIONS, cipherName } from "./envoy-als-names.ts";

export class AlsEntry {
	/** 0 where the entry has no start. */
	timeNs = 0n;
	readonly attributes = new Map<string, string>();
	/** Header names in lower case; Envoy logs those that its configuration lists. */
	readonly requestHeaders = new Map<string, string>();
	/** Texts that were not UTF-8. */
	invalidUtf8 = 0;
	private isIntermediate = false;
	private totalNs: bigint | undefined;
	private lastByteNs: bigint | undefined;
	private directRemote = "";

	constructor(kind: "http" | "tcp", reader: WireReader) {
		const { attributes } = this;
		if (kind === "tcp") attributes.set("protocol", "TCP");
		attributes.set("response_flags", "-");
		if (kind === "http") attributes.set("response_code", "0");
		attributes.set("bytes_received", "0");
		attributes.set("bytes_sent", "0");
		// Without TLS properties the connection was plain, and Envoy's other logs print a dash.
		for (const key of ["tls_version", "peer_uri_san", "local_uri_san"]) attributes.set(`downstream_${key}`, "-");
		while (reader.next()) {
			if (reader.field === 1 && reader.is(WIRE_LENGTH)) this.common(reader.message());
			else if (kind === "tcp" && reader.field === 2 && reader.is(WIRE_LENGTH)) this.connection(reader.message());
			else if (kind === "http" && reader.field === 2 && reader.is(WIRE_VARINT)) {
				this.named("protocol", HTTP_VERSIONS, reader.uint32());
			} else if (kind === "http" && reader.field === 3 && reader.is(WIRE_LENGTH)) this.request(reader.message());
			else if (kind === "http" && reader.field === 4 && reader.is(WIRE_LENGTH)) this.response(reader.message());
			else if (reader.field > (kind === "tcp" ? 2 : 4)) reader.skip();
		}
		if (this.directRemote !== "") attributes.set("downstream_remote", this.directRemote);
		const durationNs = this.totalNs ?? this.lastByteNs;
		if (durationNs !== undefined) attributes.set("duration_ms", milliseconds(durationNs));
		// Builds before the log type marked what is not final by a flag alone.
		if (this.isIntermediate && !attributes.has("log_type")) {
			attributes.set("log_type", kind === "tcp" ? "TcpPeriodic" : "DownstreamPeriodic");
		}
	}

	/** AccessLogCommon */
	private common(reader: WireReader): void {
		while (reader.next()) {
			switch (reader.field) {
				case 2:
					if (reader.is(WIRE_LENGTH)) this.set("downstream_remote", this.address(reader.message()));
					break;
				case 3:
					if (reader.is(WIRE_LENGTH)) this.set("downstream_local", this.address(reader.message()));
					break;
				case 4:
					if (reader.is(WIRE_LENGTH)) this.tls(reader.message());
					break;
				case 5:
					if (reader.is(WIRE_LENGTH)) this.timeNs = nanoseconds(reader.message());
					break;
				case 12:
					if (reader.is(WIRE_LENGTH)) this.lastByteNs = nanoseconds(reader.message());
					break;
				case 13:
					if (reader.is(WIRE_LENGTH)) this.set("upstream_host", this.address(reader.message()));
					break;
				case 15:
					this.text("upstream_cluster", reader);
					break;
				case 16:
					if (reader.is(WIRE_LENGTH)) this.flags(reader.message());
					break;
				case 18:
					this.text("upstream_tls_failure", reader);
					break;
				case 19:
					this.text("route_name", reader);
					break;
				case 20:
					if (reader.is(WIRE_LENGTH)) this.directRemote = this.address(reader.message());
					break;
				case 22:
					if (reader.is(WIRE_LENGTH)) this.mapEntry(reader.message(), (key, value) => this.set(key, value));
					break;
				case 23:
					if (reader.is(WIRE_LENGTH)) this.totalNs = nanoseconds(reader.message());
					break;
				case 24:
					if (reader.is(WIRE_VARINT)) this.set("attempts", String(reader.uint32()));
					break;
				case 25:
					this.text("connection_termination_details", reader);
					break;
				case 26:
					this.text("stream_id", reader);
					break;
				case 27:
					if (reader.is(WIRE_VARINT)) this.isIntermediate = reader.bool();
					break;
				case 28:
					this.text("downstream_tls_failure", reader);
					break;
				case 33:
					if (reader.is(WIRE_VARINT)) this.named("log_type", LOG_TYPES, reader.uint32());
					break;
				default:
					reader.skip();
			}
		}
	}

	/** TLSProperties of the downstream connection. Only a version shows that a handshake was completed. */
	private tls(reader: WireReader): void {
		const { attributes } = this;
		let version = "";
		while (reader.next()) {
			switch (reader.field) {
				case 1:
					if (reader.is(WIRE_VARINT)) version = TLS_VERSIONS[reader.uint32()] ?? "";
					break;
				case 2:
					if (reader.is(WIRE_LENGTH)) attributes.set("downstream_tls_cipher", cipherName(wrapped(reader.message())));
					break;
				case 3:
					this.text("requested_server_name", reader);
					break;
				case 4:
					if (reader.is(WIRE_LENGTH)) this.certificate("downstream_local", reader.message());
					break;
				case 5:
					if (reader.is(WIRE_LENGTH)) this.certificate("downstream_peer", reader.message());
					break;
				case 7:
					this.text("ja3_fingerprint", reader);
					break;
				default:
					reader.skip();
			}
		}
		// A server name or fingerprint seen on the way proves nothing, so that nothing is reported.
		if (version === "") attributes.delete("downstream_tls_version");
		else attributes.set("downstream_tls_version", version);
	}

	private certificate(prefix: string, reader: WireReader): void {
		const uris: string[] = [];
		const names: string[] = [];
		while (reader.next()) {
			if (reader.field === 1 && reader.is(WIRE_LENGTH)) {
				const san = reader.message();
				while (san.next()) {
					if (san.field === 1 && san.is(WIRE_LENGTH)) uris.push(this.string(san));
					else if (san.field === 2 && san.is(WIRE_LENGTH)) names.push(this.string(san));
					else if (san.field > 2) san.skip();
				}
			} else if (reader.field === 2) this.text(`${prefix}_subject`, reader);
			else if (reader.field === 3) this.text(`${prefix}_issuer`, reader);
			else if (reader.field > 3) reader.skip();
		}
		this.set(`${prefix}_uri_san`, uris.join(","));
		this.set(`${prefix}_dns_san`, names.join(","));
	}

	private flags(reader: WireReader): void {
		const letters: string[] = [];
		while (reader.next()) {
			const letter = RESPONSE_FLAGS[reader.field] ?? "";
			// The reason for "unauthorized" is a message, every other flag a boolean.
			const isSet = reader.wireType === WIRE_VARINT ? reader.bool() : (reader.skip(), reader.field === 13);
			if (isSet && letter !== "") letters.push(letter);
		}
		this.set("response_flags", letters.join(","));
	}

	private connection(reader: WireReader): void {
		while (reader.next()) {
			if (reader.field === 1) this.count("bytes_received", reader);
			else if (reader.field === 2) this.count("bytes_sent", reader);
			else reader.skip();
		}
	}

	private request(reader: WireReader): void {
		while (reader.next()) {
			switch (reader.field) {
				case 1:
					if (reader.is(WIRE_VARINT)) this.named("method", METHODS, reader.uint32());
					break;
				case 2:
					this.text("scheme", reader);
					break;
				case 3:
					this.text("authority", reader);
					break;
				case 5:
					this.text("path", reader);
					break;
				case 6:
					this.text("user_agent", reader);
					break;
				case 7:
					this.text("referer", reader);
					break;
				case 8:
					this.text("x_forwarded_for", reader);
					break;
				case 9:
					this.text("request_id", reader);
					break;
				case 10:
					this.text("original_path", reader);
					break;
				case 12:
					this.count("bytes_received", reader);
					break;
				case 13:
					if (reader.is(WIRE_LENGTH)) this.mapEntry(reader.message(), (key, value) => this.requestHeader(key, value));
					break;
				default:
					reader.skip();
			}
		}
	}

	private requestHeader(name: string, value: string): void {
		this.requestHeaders.set(name, value);
		this.set(`http.request.header.${name}`, value);
	}

	private response(reader: WireReader): void {
		while (reader.next()) {
			switch (reader.field) {
				case 1:
					if (reader.is(WIRE_LENGTH)) this.set("response_code", String(wrapped(reader.message())));
					break;
				case 3:
					this.count("bytes_sent", reader);
					break;
				case 4:
					if (reader.is(WIRE_LENGTH)) this.mapEntry(reader.message(), (key, value) => this.responseHeader(key, value));
					break;
				case 5:
					if (reader.is(WIRE_LENGTH)) this.mapEntry(reader.message(), (key, value) => this.responseHeader(key, value));
					break;
				case 6:
					this.text("response_code_details", reader);
					break;
				default:
					reader.skip();
			}
		}
	}

	/** Headers and trailers: gRPC puts its status into either. */
	private responseHeader(name: string, value: string): void {
		if (name === "grpc-status") this.set("grpc_status", value);
		else this.set(`http.response.header.${name}`, value);
	}

	private set(key: string, value: string): void {
		if (value !== "") this.attributes.set(key, value);
	}

	private named(key: string, names: readonly string[], number: number): void {
		this.set(key, names[number] ?? String(number));
	}

	private text(key: string, reader: WireReader): void {
		if (reader.is(WIRE_LENGTH)) this.set(key, this.string(reader));
	}

	private count(key: string, reader: WireReader): void {
		if (reader.is(WIRE_VARINT)) this.attributes.set(key, reader.uint64().toString());
	}

	private string(reader: WireReader): string {
		const value = reader.string();
		if (value.includes("\ufffd")) this.invalidUtf8++;
		return value;
	}

	private mapEntry(reader: WireReader, put: (key: string, value: string) => void): void {
		let key = "";
		let value = "";
		while (reader.next()) {
			if (reader.field === 1 && reader.is(WIRE_LENGTH)) key = this.string(reader);
			else if (reader.field === 2 && reader.is(WIRE_LENGTH)) value = this.string(reader);
			else if (reader.field > 2) reader.skip();
		}
		if (key !== "") put(key, value);
	}

	/** As Envoy prints it: `10.0.0.1:80`, `[fd00::1]:80`, a socket's path, `envoy://listener/endpoint`. */
	private address(reader: WireReader): string {
		let address = "";
		while (reader.next()) {
			const kind = reader.field;
			if (kind > 3) reader.skip();
			else if (reader.is(WIRE_LENGTH)) address = this.addressOf(kind, reader.message());
		}
		return address;
	}

	/** SocketAddress, Pipe or EnvoyInternalAddress, by their field in Address. */
	private addressOf(kind: number, reader: WireReader): string {
		const wanted = ADDRESS_FIELDS[kind]!;
		let first = "";
		let second = "";
		let port = 0;
		while (reader.next()) {
			if (!wanted.includes(reader.field)) reader.skip();
			else if (reader.field === 1 && reader.is(WIRE_LENGTH)) first = this.string(reader);
			else if (reader.field === 2 && reader.is(WIRE_LENGTH)) second = this.string(reader);
			else if (reader.field === 3 && reader.is(WIRE_VARINT)) port = reader.uint32();
		}
		if (kind === 1) return `${second.includes(":") ? `[${second}]` : second}:${port}`;
		return kind === 2 ? first : `envoy://${first}/${second}`;
	}
}

/** Fields read of SocketAddress, Pipe and EnvoyInternalAddress. */
const ADDRESS_FIELDS: readonly (readonly number[])[] = [[], [2, 3], [1], [1, 2]];

/** google.protobuf.Timestamp or Duration; 0 for one before its epoch. */
function nanoseconds(reader: WireReader): bigint {
	let seconds = 0n;
	let nanos = 0;
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_VARINT)) seconds = reader.int64();
		else if (reader.field === 2 && reader.is(WIRE_VARINT)) nanos = reader.int32();
		else if (reader.field > 2) reader.skip();
	}
	const total = seconds * 1_000_000_000n + BigInt(nanos);
	return total < 0n ? 0n : total;
}

/** google.protobuf.UInt32Value */
function wrapped(reader: WireReader): number {
	let value = 0;
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_VARINT)) value = reader.uint32();
		else if (reader.field > 1) reader.skip();
	}
	return value;
}

/** `12`, `0.25`: exact, without zeros at the end. */
function milliseconds(ns: bigint): string {
	const fraction = String(ns % 1_000_000n)
		.padStart(6, "0")
		.replace(/0+$/, "");
	return `${ns / 1_000_000n}${fraction === "" ? "" : `.${fraction}`}`;
}

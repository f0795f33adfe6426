/** OTLP/HTTP: paths, content types and answers (opentelemetry-proto docs/specification.md, OTLP/HTTP). */
import { ERRORS } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";
import type { HttpDialect, HttpFormat } from "./http-receiver.ts";
import { encodeExportResponse, encodeStatus, exportResponseJson, statusJson } from "./wire.ts";

const PATHS: ReadonlyMap<string, Signal> = new Map([
	["/v1/traces", "traces"],
	["/v1/logs", "logs"],
	["/v1/metrics", "metrics"],
]);

const PROTOBUF: HttpFormat = { encoding: "otlp-protobuf", contentType: "application/x-protobuf" };
const JSON_FORMAT: HttpFormat = { encoding: "otlp-json", contentType: "application/json" };

export const otlpHttp: HttpDialect = {
	transport: "otlpHttp",
	accepts: `${PROTOBUF.contentType} or ${JSON_FORMAT.contentType}`,
	signalAt: (path) => PATHS.get(path),
	formatOf: (mediaType) => {
		if (mediaType === PROTOBUF.contentType) return PROTOBUF;
		return mediaType === JSON_FORMAT.contentType ? JSON_FORMAT : undefined;
	},
	success: (format, signal, { rejected, errorMessage }) => ({
		status: 200,
		contentType: format.contentType,
		body:
			format === JSON_FORMAT
				? exportResponseJson(signal, rejected, errorMessage)
				: encodeExportResponse(rejected, errorMessage),
	}),
	// Where the request named no encoding we know, a person is likelier to read the answer than a decoder.
	failure: (format, refusal) => ({
		status: ERRORS[refusal.code].http,
		contentType: (format ?? JSON_FORMAT).contentType,
		body: format === PROTOBUF ? encodeStatus(refusal) : statusJson(refusal),
	}),
};

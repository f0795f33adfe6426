/**
 * Zipkin v2 (openzipkin/zipkin-api zipkin2-api.yaml): one path, JSON or protobuf list of spans, 202 on success, errors as text.
 * Conversion to OTLP happens in the pipeline.
 */
import { ERRORS } from "../../model/errors.ts";
import type { HttpDialect, HttpFormat } from "./http-receiver.ts";

const JSON_FORMAT: HttpFormat = { encoding: "zipkin-json", contentType: "application/json" };
const PROTOBUF: HttpFormat = { encoding: "zipkin-protobuf", contentType: "application/x-protobuf" };

export const zipkin: HttpDialect = {
	transport: "zipkin",
	accepts: `${JSON_FORMAT.contentType} or ${PROTOBUF.contentType}`,
	signalAt: (path) => (path === "/api/v2/spans" ? "traces" : undefined),
	formatOf: (mediaType) => {
		// Zipkin's own server reads a body without a type as JSON, and small senders rely on it.
		if (mediaType === "" || mediaType === JSON_FORMAT.contentType) return JSON_FORMAT;
		return mediaType === PROTOBUF.contentType ? PROTOBUF : undefined;
	},
	success: () => ({ status: 202, body: "" }),
	failure: (_format, refusal) => ({
		status: ERRORS[refusal.code].http,
		contentType: "text/plain; charset=utf-8",
		body: `${refusal.message}\n`,
	}),
};

/** Commander turns `--otlp-grpc` into `otlpGrpc`; settings go by the one name they have everywhere. */
export function kebabNames(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
	return Object.fromEntries(
		Object.entries(values).map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), value]),
	);
}

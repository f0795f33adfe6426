/**
 * The X.509 library, ready to use. It asks for the metadata half of Reflect at its first line, of which it needs the four functions
 * below; they are put there first, hence the import at run time.
 */

type Metadata = Map<unknown, unknown>;

const metadata = new WeakMap<object, Metadata>();

function own(key: unknown, target: object): unknown {
	return metadata.get(target)?.get(key);
}

function inherited(key: unknown, target: object): unknown {
	for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
		const value = own(key, at);
		if (value !== undefined) return value;
	}
	return undefined;
}

function define(key: unknown, value: unknown, target: object): void {
	const known = metadata.get(target) ?? new Map<unknown, unknown>();
	known.set(key, value);
	metadata.set(target, known);
}

// Whoever came first keeps its own.
if (!("getMetadata" in Reflect)) {
	Object.assign(Reflect, {
		getMetadata: inherited,
		getOwnMetadata: own,
		defineMetadata: define,
		metadata: (key: unknown, value: unknown) => (target: object) => define(key, value, target),
	});
}

export const x509 = await import("@peculiar/x509");

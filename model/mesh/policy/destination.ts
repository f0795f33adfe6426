/** Where a route of a VirtualService sends what it takes, and in which shares. */
import { integer, object, type Read, required, type ValueOf } from "./fields.ts";
import { fault } from "./place.ts";
import { dnsLabel, exactHost, portSelector } from "./values.ts";

export const destination = object({ host: required(exactHost), subset: dnsLabel, port: portSelector });

export type Destination = ValueOf<typeof destination>;

export const weight = integer(0, 100);

/** One destination takes everything whatever its weight; several share 100. */
export function sharesOfHundred<T extends { readonly weight: number | undefined }>(
	items: Read<readonly T[]>,
): Read<readonly T[]> {
	return (value, at) => {
		const read = items(value, at);
		if (read === undefined || !Array.isArray(value) || read.length !== value.length) return read;
		// A faulty weight cannot be added.
		if (value.some((item, index) => item.weight !== undefined && item.weight !== null && read[index]!.weight === undefined))
			return read;
		let sum = 0;
		for (const item of read) sum += item.weight ?? 0;
		if (read.length > 1 && sum !== 100) fault(at, `weights must sum to 100, not ${sum}`);
		return read;
	};
}

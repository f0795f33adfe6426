/** Istio's PeerAuthentication: which connections a workload takes. */
import { mapOf, mapped, object, oneOf, type Read, text, type ValueOf } from "./fields.ts";
import { fault, within } from "./place.ts";
import { selector } from "./values.ts";

const mode: Read<"UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT"> = mapped(
	object({ mode: oneOf(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]) }),
	(fields) => fields.mode ?? "UNSET",
);

/** Keys of JSON objects are text, whatever YAML made of them. */
const portKey: Read<string> = mapped(text(), (value, at) =>
	/^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535 ? value : fault(at, "must be a port from 1 to 65535"),
);

export const readPeerAuthentication = object(
	{ selector, mtls: mode, portLevelMtls: mapOf(portKey, mode, { nonEmpty: true }) },
	(fields, at, present) => {
		if (!present.has("portLevelMtls")) return;
		const ports = within(at, "portLevelMtls");
		if ((fields.selector?.size ?? 0) === 0) fault(ports, "needs selector.matchLabels beside it: ports belong to a workload");
	},
);

export type PeerAuthentication = ValueOf<typeof readPeerAuthentication>;

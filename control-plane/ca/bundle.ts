/** The roots to trust, as SPIFFE writes them down (SPIFFE Trust Domain and Bundle, section 4: a JWK set). */
import { X509Certificate } from "node:crypto";

export interface TrustBundle {
	readonly trustDomain: string;
	/** Rises with every change. */
	readonly sequence: number;
	readonly rootsPem: readonly string[];
}

/** How often a consumer should look again: a new root is in the bundle for five minutes before it signs. */
const REFRESH_HINT_SECONDS = 60;

export function bundleJwks(bundle: TrustBundle): Readonly<Record<string, unknown>> {
	return {
		keys: bundle.rootsPem.map((pem) => {
			const certificate = new X509Certificate(pem);
			const { kty, crv, x, y } = certificate.publicKey.export({ format: "jwk" });
			return { kty, use: "x509-svid", crv, x, y, x5c: [certificate.raw.toString("base64")] };
		}),
		spiffe_sequence: bundle.sequence,
		spiffe_refresh_hint: REFRESH_HINT_SECONDS,
	};
}

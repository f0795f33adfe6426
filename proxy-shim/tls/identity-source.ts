/** Who the proxy is, as its listeners and upstream connections see it: the current certificate, and the roots to trust. */

export interface Identity {
	/** `spiffe://<trust-domain>/ns/<ns>/sa/<sa>`. */
	readonly principal: string;
	/** Leaf first. */
	readonly chainPem: string;
	readonly keyPem: string;
	readonly rootsPem: readonly string[];
	readonly notBeforeMs: number;
	readonly notAfterMs: number;
}

/** Certificates are replaced while connections live; those keep the one they were made with. */
export interface IdentitySource {
	/** Undefined until the first certificate is there; then the newest that is valid. */
	current(): Identity | undefined;
	/** Called after each change; the returned function ends it. */
	onChange(listener: (identity: Identity) => void): () => void;
}

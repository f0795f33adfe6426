/** What the scraper is told of its targets. */

export interface ScrapeTarget {
	/** http or https, without credentials. */
	readonly url: string;
	readonly intervalMs: number;
	readonly timeoutMs: number;
	/** Resource attributes that what is scraped gets: who the target is. */
	readonly attributes: Readonly<Record<string, string>>;
	/** Paths; read again for every scrape, since tokens and certificates are renewed in place. */
	readonly bearerTokenFile?: string | undefined;
	readonly tlsCaFile?: string | undefined;
	readonly tlsCertFile?: string | undefined;
	readonly tlsKeyFile?: string | undefined;
	/** Name that the target's certificate is for, where it is not that of the URL. */
	readonly tlsServerName?: string | undefined;
}

/** How a target is called in logs and answers: without its query, which may hold what is not for everybody. */
export function targetName(url: string): string {
	const { origin, pathname } = new URL(url);
	return `${origin}${pathname}`;
}

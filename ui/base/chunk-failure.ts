/**
 * Whether an error says that a part of the page's own code could not be fetched: after an upgrade of the server the files of the
 * page before are gone, and only a reload helps. Browsers have no type for it; these are the words of Chromium, Firefox and Safari,
 * and Vite's for styles.
 */
const WORDS = /dynamically imported module|Importing a module script failed|Unable to preload CSS/i;

export function isChunkFailure(error: unknown): boolean {
	return error instanceof Error && WORDS.test(error.message);
}

/** What a check of a file finds wrong with it: the first few in words, the others counted. */
import type { Connection } from "./database.ts";

/** More say nothing that these do not. */
const MAX_PROBLEMS = 20;

/** What SQLite finds itself. */
export function integrityProblems(database: Connection): string[] {
	const lines = database.prepare<[], string>(`PRAGMA integrity_check(${MAX_PROBLEMS})`).pluck().all();
	return lines.length === 1 && lines[0] === "ok" ? [] : lines;
}

export class Problems {
	total = 0;
	private readonly texts: string[] = [];

	add(text: string): void {
		this.total++;
		if (this.texts.length < MAX_PROBLEMS) this.texts.push(text);
	}

	during(where: string, check: () => void): void {
		try {
			check();
		} catch (error) {
			this.add(`${where}: ${textOf(error)}`);
		}
	}

	list(): string[] {
		const more = this.total - this.texts.length;
		return more > 0 ? [...this.texts, `and ${more} more`] : this.texts;
	}
}

export function textOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

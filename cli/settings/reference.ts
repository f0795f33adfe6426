/** The settings as people read them: the table of the README, and the options of `serve --help`. Both from the one table. */
import { OPTIONS } from "./options.ts";
import type { OptionSpec } from "./options.ts";

/** Markdown rows; README.md is held equal to them by a test. */
export function settingsTable(): string {
	const rows = OPTIONS.map((spec) => {
		const flag = `\`--${spec.name}${spec.placeholder === undefined ? "" : ` ${spec.placeholder}`}\``.replaceAll("|", "\\|");
		return `| ${flag} | ${defaultOf(spec)} | ${spec.help}${alsoFrom(spec)} |\n`;
	});
	return `| flag | default | what |\n| --- | --- | --- |\n${rows.join("")}`;
}

function defaultOf(spec: OptionSpec): string {
	if (spec.placeholder === undefined) return "";
	return spec.default === undefined ? "none" : `\`${spec.default}\``;
}

function alsoFrom(spec: OptionSpec): string {
	return spec.standardEnv.length === 0 ? "" : `; also ${spec.standardEnv.map((name) => `\`${name}\``).join(", ")}`;
}

/** As commander declares an option: flags and description. */
export function helpOf(spec: OptionSpec): readonly [flags: string, description: string] {
	const flags = spec.placeholder === undefined ? `--${spec.name}` : `--${spec.name} <${spec.placeholder}>`;
	return [
		flags,
		spec.default === undefined || spec.placeholder === undefined ? spec.help : `${spec.help} (default ${spec.default})`,
	];
}

/**
 * What is left when the demo itself is killed: a shell that waits for the end of its standard input, then ends the groups it was last
 * told of and removes the temporary directory. It is told of none when the demo ends in order.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";

export interface Undertaker {
	/** Leaders of process groups, in place of those told before. */
	tell(leaderPids: readonly number[]): void;
	/** Ends it, and with it what it still knows of; resolves when the directory is gone. */
	bury(): Promise<void>;
}

/** SIGTERM, three seconds at most, SIGKILL. $1 is the directory. Of the forms of kill, dash knows groups only in this one. */
const SCRIPT = `
trap '' INT TERM HUP
groups=
while read -r line; do groups=$line; done
if [ -n "$groups" ]; then
	for group in $groups; do kill -s TERM -- "$group" 2>/dev/null; done
	tries=0
	while [ $tries -lt 30 ]; do
		left=
		for group in $groups; do kill -s 0 -- "$group" 2>/dev/null && left=1; done
		[ -n "$left" ] || break
		sleep 0.1
		tries=$((tries + 1))
	done
	for group in $groups; do kill -s KILL -- "$group" 2>/dev/null; done
fi
rm -rf -- "$1"
`;

export function hireUndertaker(directory: string): Undertaker {
	const shell = spawn("/bin/sh", ["-c", SCRIPT, "meshscope-demo-undertaker", directory], {
		stdio: ["pipe", "ignore", "ignore"],
		detached: true,
	});
	const gone = once(shell, "exit");
	// Without a shell the demo still ends its children itself.
	shell.on("error", () => undefined);
	shell.stdin.on("error", () => undefined);
	return {
		tell(leaderPids) {
			if (!shell.stdin.writableEnded) shell.stdin.write(`${leaderPids.map((pid) => `-${pid}`).join(" ")}\n`);
		},
		async bury() {
			shell.stdin.end();
			await gone.catch(() => undefined);
		},
	};
}

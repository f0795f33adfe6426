/**
 * Memory that is freed goes back to the system. glibc keeps what threads free for their next need, and raises by itself the size from
 * which on it does not; a server whose buffers are made in one thread and freed in another grows by it for hours. V8 lets each thread's
 * heap grow to four times what lives in it before it collects. Both read their settings at the start of a process and nowhere else, so
 * the process starts over once, with the same id and streams.
 *
 * Figures: docs/adr/0018-freed-memory-goes-back.md.
 */

type Env = Readonly<Record<string, string | undefined>>;

/** Bytes. Buffers of a batch are larger, and so have mappings of their own, which end with them. */
export const ALLOCATOR_VARIABLES = {
	MALLOC_MMAP_THRESHOLD_: "131072",
	MALLOC_TRIM_THRESHOLD_: "131072",
	MALLOC_ARENA_MAX: "2",
} as const;
/** In percent of what lives in a heap: twice as much in place of four times. */
export const HEAP_GROWTH = "--heap-growing-percent=100";

export interface Program {
	readonly platform: string;
	readonly execPath: string;
	readonly execArgv: readonly string[];
	readonly argv: readonly string[];
	/** Undefined where the system cannot replace a process's program. */
	readonly execve: ((file: string, args: readonly string[], env: Record<string, string>) => void) | undefined;
}

export function thisProgram(): Program {
	const { platform, execPath, execArgv, argv, execve } = process;
	return { platform, execPath, execArgv, argv, execve: typeof execve === "function" ? execve.bind(process) : undefined };
}

/** Does not return where it starts over. Whoever set any of the variables decides, and a debugger would lose its process. */
export function startOverWithAllocator(program: Program, env: Env): void {
	const { platform, execPath, execArgv, argv, execve } = program;
	if (execve === undefined || platform !== "linux" || execArgv.some((arg) => arg.startsWith("--inspect"))) return;
	if (Object.keys(ALLOCATOR_VARIABLES).some((name) => env[name] !== undefined)) return;
	const variables: Record<string, string> = { ...ALLOCATOR_VARIABLES };
	for (const [name, value] of Object.entries(env)) if (value !== undefined) variables[name] = value;
	execve(execPath, [execPath, HEAP_GROWTH, ...execArgv, ...argv.slice(1)], variables);
}

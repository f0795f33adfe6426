/**
 * One thing to run later: at the next turn of the event loop, or after a while. Asking again only ever brings it forward.
 */
export class Wake {
	private readonly run: () => void;
	private immediate: NodeJS.Immediate | undefined;
	private timer: NodeJS.Timeout | undefined;

	constructor(run: () => void) {
		this.run = run;
	}

	soon(): void {
		if (this.immediate !== undefined) return;
		this.cancel();
		this.immediate = setImmediate(() => {
			this.immediate = undefined;
			this.run();
		});
	}

	/** @param keepsAlive whether the process must not end before */
	after(ms: number, keepsAlive: boolean): void {
		if (this.immediate !== undefined || this.timer !== undefined) return;
		this.timer = setTimeout(() => {
			this.timer = undefined;
			this.run();
		}, ms);
		if (!keepsAlive) this.timer.unref();
	}

	cancel(): void {
		if (this.immediate !== undefined) clearImmediate(this.immediate);
		if (this.timer !== undefined) clearTimeout(this.timer);
		this.immediate = undefined;
		this.timer = undefined;
	}
}

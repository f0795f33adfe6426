/**
 * Places at which a test makes the process die as a power cut would: `MESHSCOPE_FAILPOINT=name[:nth]`. Costs one comparison when unset.
 */
export type FailpointName =
	| "before-commit"
	| "after-commit"
	| "mid-merge"
	| "before-merge-commit"
	| "mid-unlink"
	| "before-topology-commit"
	| "after-topology-commit"
	| "before-topology-join";

export type Failpoint = (name: FailpointName) => void;

export function createFailpoint(setting: string | undefined): Failpoint {
	if (setting === undefined || setting === "") return () => {};
	const [wanted, nth = "1"] = setting.split(":");
	let left = Number(nth);
	return (name) => {
		if (name === wanted && --left === 0) process.kill(process.pid, "SIGKILL");
	};
}

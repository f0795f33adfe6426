/** A folder for one test; removed when the test is over, kept when MESHSCOPE_KEEP_TEST_DATA=1 so that a failure can be looked at. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

export async function temporaryFolder(name: string): Promise<AsyncDisposable & { readonly path: string }> {
	const folder = await mkdtemp(path.join(tmpdir(), `meshscope-${name}-`));
	return {
		path: folder,
		async [Symbol.asyncDispose]() {
			if (process.env["MESHSCOPE_KEEP_TEST_DATA"] !== "1") await rm(folder, { recursive: true, force: true });
		},
	};
}

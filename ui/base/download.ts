/** Hands the browser a file to save. */
export function saveFile(name: string, content: Blob): void {
	const url = URL.createObjectURL(content);
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	// Not at once: the browser reads it after this task.
	setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

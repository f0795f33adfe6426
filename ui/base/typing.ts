/** True where a key is text or belongs to an open dialog, so that no shortcut may take it. */
export function isTyping(target: EventTarget | null): boolean {
	return (
		target instanceof HTMLInputElement ||
		target instanceof HTMLSelectElement ||
		target instanceof HTMLTextAreaElement ||
		(target instanceof HTMLElement && target.closest("dialog[open]") !== null)
	);
}

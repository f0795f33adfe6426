// Runs before the first paint, so that a chosen theme does not flash. A file of its own, because the policy allows no inline script.
try {
	const theme = localStorage.getItem("meshscope.theme");
	if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch {
	// Storage is switched off: the system's preference holds.
}

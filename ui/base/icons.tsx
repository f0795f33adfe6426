/** The few drawings the pages use; each stands beside a word or has a label of its own, so they are hidden from readers. */
import type { ReactNode } from "react";

const PATHS = {
	alert: "M8 1.8 15 14H1L8 1.8Zm0 4.4v3.6m0 1.9v.2",
	check: "M2.8 8.4 6.4 12l6.8-7.6",
	chevron: "m6 4 4 4-4 4",
	close: "m4 4 8 8m0-8-8 8",
	copy: "M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8v-8Z",
	download: "M8 2v8m-3.5-3.5L8 10l3.5-3.5M2.5 13.5h11",
	fit: "M2.5 6V2.5H6m4 0h3.5V6m0 4v3.5H10m-4 0H2.5V10",
	lock: "M3.5 7.5h9v6h-9v-6Zm2 0V5a2.5 2.5 0 0 1 5 0v2.5",
	moon: "M13.5 9.6A6 6 0 1 1 6.4 2.5a4.8 4.8 0 0 0 7.1 7.1Z",
	pause: "M5.5 3v10m5-10v10",
	play: "M4.5 2.8v10.4L13 8 4.5 2.8Z",
	search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
	sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm0-9.5V3m0 10v1.5M1.5 8H3m10 0h1.5M3.4 3.4l1 1m7.2 7.2 1 1m0-9.2-1 1m-7.2 7.2-1 1",
	unlock: "M3.5 7.5h9v6h-9v-6Zm2 0V4.5a2.5 2.5 0 0 1 4.9-.8",
	system: "M2 3h12v8H2V3Zm4 10.5h4M8 11v2.5",
} as const;

export function Icon({ name }: { readonly name: keyof typeof PATHS }): ReactNode {
	return (
		<svg
			className="icon"
			viewBox="0 0 16 16"
			fill="none"
			stroke="currentColor"
			strokeWidth="1.5"
			strokeLinecap="round"
			strokeLinejoin="round"
			aria-hidden="true"
		>
			<path d={PATHS[name]} />
		</svg>
	);
}

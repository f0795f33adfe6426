/** An anchor that stays on the page: a real link for the browser (open in a tab, copy address), a `navigate` for a plain click. */
import type { AnchorHTMLAttributes, MouseEvent, ReactNode } from "react";
import { navigate } from "./router.ts";

interface LinkProps extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> {
	readonly href: string;
}

export function Link({ href, ...rest }: LinkProps): ReactNode {
	const onClick = (event: MouseEvent<HTMLAnchorElement>): void => {
		if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
		event.preventDefault();
		navigate(href);
	};
	return <a {...rest} href={href} onClick={onClick} />;
}

/** A name and what is known of it, in a list of such facts. */
import type { ReactNode } from "react";

export function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactNode {
	return (
		<div>
			<dt>{name}</dt>
			<dd className="told">{children}</dd>
		</div>
	);
}

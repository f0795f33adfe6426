/** The head of what is told of an edge, one of the graph or a sum of folded ones. */
import type { ReactNode } from "react";
import type { GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { shorten } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";

interface EdgeHeadProps {
	/** Undefined until it is read, and where it is not there any more. */
	readonly edge: Pick<GraphEdgeAnswer, "source" | "target"> | undefined;
	readonly onClose: () => void;
}

export function EdgeHead({ edge, onClose }: EdgeHeadProps): ReactNode {
	return (
		<header className="panel-head">
			<h2 className="told">
				{edge === undefined ? (
					"Edge"
				) : (
					<>
						<bdi>{shorten(edge.source, 80)}</bdi> → <bdi>{shorten(edge.target, 80)}</bdi>
					</>
				)}
			</h2>
			<button type="button" className="quiet" aria-label="Close the details" title="Close (Esc)" onClick={onClose}>
				<Icon name="close" />
			</button>
		</header>
	);
}

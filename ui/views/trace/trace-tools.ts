/** Parts of the trace page that few visits need, as one file of their own: they bring tables with them. */
export { CompareView } from "./compare-view.tsx";
export { FlameView } from "./flame-view.tsx";
export { TraceTime } from "./trace-time.tsx";

/** The page of a service, as a file of its own: who looks at the graph does not wait for it. */
export { ServiceView } from "./service/service-view.tsx";

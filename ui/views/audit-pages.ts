/** The pages that audit, the mesh or the server, as one file of their own: who reads traces does not wait for them. */
export { ChangesView } from "./changes/changes-view.tsx";
export { MeshView } from "./mesh/mesh-view.tsx";
export { MtlsView } from "./mtls/mtls-view.tsx";
export { StatusView } from "./status/status-view.tsx";

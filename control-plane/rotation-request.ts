/** Whoever may write into the state folder asks for a new root by a file of this name. */
export const ROTATION_REQUEST = "rotate-root.request";

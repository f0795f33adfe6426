/**
 * node:http for the shim. Importing it as an ES module evaluates every export it has, web APIs that a proxy has no use for included:
 * 5 MB in each process (Node 24).
 */
const http = process.getBuiltinModule("node:http");

export const { createServer, get, request, ServerResponse, STATUS_CODES } = http;

"""What the shop's Python apps share: JSON over HTTP on loopback, and calls through the shim beside them. Standard library only."""
import http.client
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TRACE_HEADERS = ("traceparent", "tracestate", "x-request-id", "baggage")
CALL_TIMEOUT_S = 5


def serve_json(port, handle):
    """handle(path, headers) gives the answer; what it raises is a 502, because the shop's handlers fail by failed calls."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one packet

        def do_GET(self):
            try:
                status, body = 200, handle(self.path, self.headers)
            except Exception as error:
                status, body = 502, {"error": str(error)}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_):
            pass  # a connection that broke

    threading.Thread(target=end_with_parent, daemon=True).start()
    Server(("127.0.0.1", port), Handler).serve_forever()


def call(shim, service, path, headers):
    """To a service of the mesh, by its name, through the shim; trace context of `headers` goes with it."""
    connection = http.client.HTTPConnection(shim, timeout=CALL_TIMEOUT_S)
    forwarded = {name: headers[name] for name in TRACE_HEADERS if headers[name] is not None}
    try:
        connection.request("GET", path, headers={**forwarded, "host": service})
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status != 200:
            raise RuntimeError(f"{service} answered {response.status}")
        return body
    finally:
        connection.close()


def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)

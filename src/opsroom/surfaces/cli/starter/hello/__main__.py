"""Says hello on PORT; `/health` tells that it is ready, `/metrics` how often it was asked."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

requests = 0


class Hello(BaseHTTPRequestHandler):
    """Answers every path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        global requests
        requests += 1
        body = {"/health": b"ok\n", "/metrics": b"http_requests_total %d\n" % requests}.get(self.path, b"hello\n")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Hello)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()

"""A service of a few lines: answers /health and everything else with its version; misbehaves as the file `broken` says."""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
VERSION, BROKEN = (HERE / "version").read_text(), (HERE / "broken").read_text()
active = 0
changed = threading.Condition()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        global active
        with changed:
            active += 1
        try:
            if self.path == "/slow":
                time.sleep(0.3)
            status = 500 if BROKEN == "unhealthy" and self.path == "/health" else 200
            body = f"{VERSION} {os.environ['INSTANCE']} {os.environ.get('GREETING', '')}".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        finally:
            with changed:
                active -= 1
                changed.notify_all()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if BROKEN == "ends":
    print("the configuration is missing", flush=True)
    sys.exit(3)
server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)


def leave(*_):
    threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, leave)
print("listening", flush=True)
server.serve_forever(poll_interval=0.02)
with changed:
    changed.wait_for(lambda: active == 0, 5)

"""A backend in one file of the standard library, which does one thing at a time, as the real ones do.

TOY holds JSON: start_seconds before the port opens, lines_a_second that it writes meanwhile, burn to use the processor
meanwhile, ready = false to answer every probe 503, exit to end with that code before it is ready.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

OPTIONS = json.loads(os.environ.get("TOY") or "{}")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is its log


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        status = 200
        if parts.path == "/ready":
            status = 200 if OPTIONS.get("ready", True) else 503
        elif parts.path == "/work":
            say(f"works {query['seconds']} s")
            time.sleep(float(query["seconds"]))
        elif parts.path == "/oom":
            say("eats")
            eaten = []
            while True:
                eaten.append(bytearray(b"x" * 2**20))
        elif parts.path == "/exit":
            say("ends")
            os._exit(int(query["code"]))
        elif parts.path == "/unready":
            OPTIONS["ready"] = False
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"done\n" if status == 200 else b"wait\n")

    def log_message(self, *args: object) -> None:
        pass


def main() -> None:
    say("toy begins")
    until = time.monotonic() + OPTIONS.get("start_seconds", 0)
    told = time.monotonic()
    while time.monotonic() < until:
        if not OPTIONS.get("burn"):
            time.sleep(0.02)
        if OPTIONS.get("lines_a_second") and time.monotonic() - told > 1 / OPTIONS["lines_a_second"]:
            told = time.monotonic()
            say(f"loading, {until - told:.1f} s to go")
    if "exit" in OPTIONS:
        say("toy cannot go on")
        sys.exit(OPTIONS["exit"])
    say("toy serves")
    HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()


if __name__ == "__main__":
    main()

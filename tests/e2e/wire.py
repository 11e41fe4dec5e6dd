"""wire - stands between the stages of a case and the Dataverse sandbox, sees every request, and
changes answers: for what a server does once in a year, or says by mistake."""
import http.client
import http.server
import json
import threading
import time


class Exchange:
    """A request and its answer; rules change the answer."""

    def __init__(self, method, path, headers):
        self.method, self.path, self.headers = method, path, headers
        self.at = time.monotonic()
        self.status, self.answer_headers, self.body = 0, [], b""

    def is_page(self, entity_set):
        return self.method == "GET" and f"/{entity_set}?" in self.path and "$top=" not in self.path

    def is_delta(self):
        return "deltatoken" in self.path or "istracking" in self.path and "since%3D-1" not in self.path

    def first(self):
        return "skiptoken" not in self.path and "deltatoken" not in self.path

    def page_size(self):
        prefer = self.headers.get("Prefer", "")
        return int(prefer.split("maxpagesize=")[1].split(",")[0]) if "maxpagesize=" in prefer else None

    def json(self):
        return json.loads(self.body)

    def answer(self, status, body=None, **headers):
        self.status = status
        self.body = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if body is not None and not isinstance(body, bytes) and not headers:
            headers = {"Content-Type": "application/json; odata.metadata=minimal"}
        self.answer_headers = list(headers.items())


class Wire(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, upstream_port):
        self.upstream_port, self.rules, self.seen = upstream_port, [], []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def rule(self, function):
        """function(exchange) after the sandbox answered; one at a time."""
        self.rules.append(function)
        return function

    def handle_error(self, request, client_address):
        pass  # a stage that was killed reads no answer

    def stop(self):
        self.shutdown()
        self.server_close()

    def pages(self, entity_set):
        return [e for e in self.seen if e.is_page(entity_set)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do(self):
        wire = self.server
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        e = Exchange(self.command, self.path, dict(self.headers.items()))
        upstream = http.client.HTTPConnection("127.0.0.1", wire.upstream_port, timeout=60)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers.items()))
            answer = upstream.getresponse()
            e.status, e.body = answer.status, answer.read()
            e.answer_headers = [(k, v) for k, v in answer.getheaders()
                                if k.lower() not in ("content-length", "connection",
                                                     "transfer-encoding", "date")]
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            return
        finally:
            upstream.close()
        with wire.lock:
            wire.seen.append(e)
            for rule in wire.rules:
                rule(e)
        self.send_response_only(e.status)
        for name, value in e.answer_headers:
            self.send_header(name, value)
        if e.status not in (204, 304):
            self.send_header("Content-Length", str(len(e.body)))
        self.end_headers()
        self.wfile.write(e.body if e.status not in (204, 304) else b"")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815

    def log_message(self, *_):
        pass

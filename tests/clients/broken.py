"""broken - broken HTTP over real sockets: requests cut, doubled and mangled, from a seed. A sandbox
must still be there afterwards. (Whole requests with odd contents are the
fuzzers' business: tests/fuzz.)"""
import random
import socket

from sandbox import Sandbox

CONNECTIONS = 400
ODD = [b"\0", b"\r", b"\n", b"\r\n\r\n", b" ", b":", b"%", b"%00", b"\xff", b"-1", b"9" * 30, b"A" * 40000,
       b"Content-Length: 5\r\n", b"Content-Length: -5\r\n", b"Transfer-Encoding: chunked\r\n",
       b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Host: a\r\nHost: b\r\n"]


def requests(sandbox):
    path = "/api/data/v9.2/contacts" if sandbox.kind == "dataverse" else (
        "/acme/campaign/profileAndServicesExt/profile")
    head = (f"Host: {sandbox.host}\r\nAuthorization: Bearer {sandbox.token()}\r\n"
            "X-Api-Key: sandbox\r\n")
    body = '{"lastname":"x","lastName":"x"}'
    return [f"GET {path} HTTP/1.1\r\n{head}\r\n".encode(),
            f"POST {path} HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode(),
            f"POST {path} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
            f"{len(body):x}\r\n{body}\r\n0\r\n\r\n".encode(),
            f"POST /_sandbox/faults HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\n{{}}".encode()]


def mangle(rng, data):
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data = data[:at] + rng.choice(ODD) + data[at:]
        elif kind == 1:
            data = data[:at] + data[at + rng.randint(1, 20):]
        elif kind == 2:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        else:
            data = data[:at]
    return data or b"\r\n"


def send(sandbox, data):
    """Sends and goes away, as a client that broke down does."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as s:
        try:
            s.sendall(data)
        except (ConnectionError, BrokenPipeError):
            pass  # hanging up first is an answer, too


def run(report):
    for kind in ("dataverse", "campaign"):
        rng = random.Random(20261124)
        with Sandbox(kind, ["--contacts", "3"]) as sandbox:
            whole = requests(sandbox)
            for _ in range(CONNECTIONS):
                send(sandbox, mangle(rng, rng.choice(whole)))
            sandbox.ask("DELETE", "/_sandbox/faults")
            answer = sandbox.ask("GET", "contacts?$top=1" if kind == "dataverse"
                                 else "profileAndServicesExt/profile")
            report(f"{kind}: after {CONNECTIONS} broken requests it still serves",
                   None if answer.status == 200 else str(answer))

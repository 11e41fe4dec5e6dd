"""sandbox - starts a sandbox and talks to it with nothing but the standard library.

The checks of a sandbox must not share a line with the product, so this has its own HTTP: requests
are sent as they are written, without any client's ideas about URLs or headers."""
import http.client
import json
import os
import ssl
import subprocess
import urllib.parse

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.path.join(TOP, os.environ.get("BUILD", "build"))
PORT_BASE = int(os.environ.get("TIDEWAY_PORT_BASE", "28080"))
# What a URL may hold as it is; everything else that a table says is escaped.
URL_SAFE = "%/?:@!$&'()*+,;=-._~"
ports = 0


class Answer:
    """One answer: status, headers (by lower-case name; repeated ones joined), body as bytes."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {}
        for name, value in response.getheaders():
            name = name.lower()
            self.headers[name] = f"{self.headers[name]},{value}" if name in self.headers else value
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body) if self.body else None

    def __str__(self):
        return f"{self.status} {self.text[:1500]}"


class Sandbox:
    """A running sandbox; a context manager that ends what it started, by its process id."""

    def __init__(self, kind, options=(), tls=None):
        global ports
        self.kind = kind
        self.tls = tls
        for _ in range(10):
            self.port = PORT_BASE + 30 + ports % 10
            ports += 1
            line = self.start(options)
            if line.startswith("listening on "):
                break
            why = self.process.communicate()[1]
            if "already in use" not in why:
                raise RuntimeError(f"sandbox-{kind} {' '.join(options)}: {line or why}")
        else:
            raise RuntimeError(f"no port is free between {PORT_BASE + 30} and {PORT_BASE + 39}")
        self.server = line.split()[2]
        self.host = self.server.split("//")[1]
        self.root = self.server + ("/api/data/v9.2" if kind == "dataverse" else "/acme/campaign")
        self.bearer = None

    def start(self, options):
        """The line that says it listens comes once everything is made; no waiting by the clock."""
        words = [os.path.join(BUILD, f"sandbox-{self.kind}"), "--listen", f"127.0.0.1:{self.port}"]
        if self.tls:
            words += ["--tls", self.tls[0], self.tls[1]]
        self.process = subprocess.Popen(words + list(options), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        return self.process.stdout.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        _, err = self.process.communicate()
        if self.process.returncode not in (0, -15) or "Sanitizer" in err:
            raise RuntimeError(f"sandbox-{self.kind} ended with {self.process.returncode}: {err}")

    def send(self, method, url, headers=None, body=None):
        """url: absolute, from the server's root (/x), or below the root of the API (x)."""
        if url.startswith("/"):
            url = self.server + url
        elif not url.startswith("http"):
            url = f"{self.root}/{url}"
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.quote(url.split(parts.netloc, 1)[1], safe=URL_SAFE)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.tls[0])
            connection = http.client.HTTPSConnection(parts.netloc, timeout=60, context=context)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            connection.putrequest(method, target, skip_accept_encoding=True,
                                  skip_host="Host" in (headers or {}))
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            data = body.encode() if isinstance(body, str) else body
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            elif method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", "0")
            connection.endheaders(data)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def token(self):
        if not self.bearer:
            if self.kind == "dataverse":
                path, scope = "/sandbox/oauth2/v2.0/token", f"{self.server}/.default"
            else:
                path, scope = "/ims/token/v3", "openid,AdobeID"
            form = urllib.parse.urlencode({
                "client_id": "sandbox", "client_secret": "sandbox", "scope": scope,
                "grant_type": "client_credentials"})
            answer = self.send("POST", path, {"Content-Type": "application/x-www-form-urlencoded"},
                               form)
            self.bearer = answer.json["access_token"]
        return self.bearer

    def headers(self):
        """What every request of a well-behaved client carries."""
        if self.kind == "dataverse":
            return {"Authorization": f"Bearer {self.token()}", "Accept": "application/json",
                    "OData-MaxVersion": "4.0", "OData-Version": "4.0", "If-None-Match": "null"}
        return {"Authorization": f"Bearer {self.token()}", "X-Api-Key": "sandbox",
                "Cache-Control": "no-cache"}

    def ask(self, method, url, body=None, **headers):
        """A request with the usual headers; a dict becomes JSON."""
        sent = self.headers()
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        return self.send(method, url, sent, body)


def certificate(folder):
    """A self-signed certificate for 127.0.0.1, made anew: (certificate, key)."""
    files = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0],
                    "-keyout", files[1]], check=True, capture_output=True)
    return files

"""tables - runs the tables of errors and facts: TOML files of requests and what must be answered.

A file names a sandbox and its options; its cases run against one sandbox, in their order.

    sandbox = "dataverse"
    options = ["--contacts", "20"]          @{folder} is an empty one

    [[case]]
    name = "a sentence that is true"
    page = "title of the public page that says so"
    request = "GET contacts(@{nobody})"     method, and a URL below the root of the API (x), the
                                            server's root (/x), or whole
    headers = {Prefer = "..."}              besides the usual ones; "" leaves one out
    body = '{...}'                          JSON unless a Content-Type says otherwise
    status = 404
    code = "0x80040217"                     .error.code        | and of an error of Campaign's
    message = "..."                         .error.message     | application: the bare text
    text = "..."                            the body as it came
    header = {Name = "value"}
    json = {"/value/0/name" = "value"}      by JSON pointer
    keep = {id = "/value/0/contactid"}      for later steps; "header:Name" keeps a header,
                                            "query:$x /pointer" an option of a link as it is, and
                                            "recoded:/pointer" a link as a client writes it anew
    times = 3                               sent so often, the last answer counts
    together = 60                           sent at once, one of them must answer so
    options = ["--x", "@{folder}"]          a sandbox of its own for this case, with these

A case of several steps has `steps = [{request = ..}, ..]`. `before = ["METHOD url body"]` must
answer 2xx. Expected texts: "~regex" matches the whole, "=absent", "=null", "=length N", "=any" say
what they say. Variables: @{root} @{server} @{host} @{port} @{nobody} (no row has this id)
@{fresh} (one GUID a case) @{long} (33,000 letters) @{token}, and what was kept, in the case or by [[setup]]."""
import json
import os
import re
import tempfile
import threading
import tomllib
import urllib.parse
import uuid

from sandbox import Sandbox


class Wrong(Exception):
    pass


STEP_KEYS = {"request", "headers", "body", "status", "code", "message", "text", "header", "json",
             "keep", "times", "together"}
CASE_KEYS = STEP_KEYS | {"name", "page", "before", "steps", "options"}


def pointer(document, path):
    for part in path.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list) and re.fullmatch(r"-?\d+", part):
            document = document[int(part)]
        elif isinstance(document, dict):
            document = document[part]
        else:
            raise KeyError(part)
    return document


def agree(what, expected, found, there=True):
    """Raises Wrong unless found is what expected says."""
    if isinstance(expected, str) and expected.startswith("="):
        words = expected[1:].split()
        good = {"absent": not there, "null": there and found is None, "any": there,
                "length": there and isinstance(found, (list, dict, str))
                          and len(words) > 1 and len(found) == int(words[1])}.get(words[0])
        if good is None:
            raise Wrong(f"the table says {expected!r}, which nobody understands")
    elif not there:
        good = False
    elif isinstance(expected, str) and expected.startswith("~"):
        good = re.fullmatch(expected[1:], found if isinstance(found, str) else json.dumps(found),
                            re.S) is not None
    else:
        good = expected == found and isinstance(expected, bool) == isinstance(found, bool)
    if not good:
        raise Wrong(f"{what}: expected {expected!r}, got {found!r}" if there
                    else f"{what}: expected {expected!r}, got nothing there")


def fill(value, names):
    if isinstance(value, str):
        def one(match):
            if match[1] not in names:
                raise Wrong(f"nothing is kept as @{{{match[1]}}}")
            return str(names[match[1]])
        return re.sub(r"@\{(\w+)\}", one, value)
    if isinstance(value, dict):
        return {fill(key, names): fill(item, names) for key, item in value.items()}
    return value


def check(answer, step):
    if "status" in step:
        agree("status", step["status"], answer.status)
    for name, expected in step.get("header", {}).items():
        found = answer.headers.get(name.lower())
        agree(f"header {name}", expected, found, found is not None)
    if "text" in step:
        agree("text", step["text"], answer.text)
    if "code" in step or "message" in step:
        try:
            error = answer.json
        except ValueError as e:
            raise Wrong("the error is not JSON") from e
        error = error.get("error", error) if isinstance(error, dict) else {"message": error}
        for name in ("code", "message"):
            if name in step:
                agree(name, step[name], error.get(name), name in error)
    for path, expected in step.get("json", {}).items():
        try:
            found, there = pointer(answer.json, path), True
        except (KeyError, IndexError, TypeError):
            found, there = None, False
        except ValueError as e:
            raise Wrong("the body is not JSON") from e
        agree(path, expected, found, there)


def send(sandbox, step):
    method, _, url = step["request"].partition(" ")
    headers = sandbox.headers()
    body = step.get("body")
    if body is not None:
        headers["Content-Type"] = "application/json"
    headers.update(step.get("headers", {}))
    return sandbox.send(method, url, {k: v for k, v in headers.items() if v != ""}, body)


def together(sandbox, step):
    """Sends it so often at once; the answer that fits, or a Wrong about the last."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(send(sandbox, step)))
               for _ in range(step["together"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        if answer.status == step.get("status"):
            return answer
    raise Wrong(f"none of {step['together']} at once answered {step.get('status')}, but "
                f"{sorted({a.status for a in answers})}")


def kept(answer, where):
    kind, _, path = where.partition(":")
    if kind == "header":
        return answer.headers[path.lower()]
    if kind == "query":
        option, _, path = path.partition(" ")
        query = urllib.parse.urlsplit(pointer(answer.json, path)).query
        return next(one for one in query.split("&") if one.startswith(option + "="))
    if kind == "recoded":
        parts = urllib.parse.urlsplit(pointer(answer.json, path))
        query = urllib.parse.urlencode(urllib.parse.parse_qsl(parts.query))
        return parts._replace(query=query).geturl()
    return pointer(answer.json, where)


def run_step(sandbox, step, names):
    step = fill(step, names)
    if unknown := set(step) - STEP_KEYS:
        raise Wrong(f"the table has unknown words: {unknown}")
    if "together" in step:
        answer = together(sandbox, step)
    else:
        for _ in range(step.get("times", 1)):
            answer = send(sandbox, step)
    try:
        check(answer, step)
        for name, where in step.get("keep", {}).items():
            names[name] = kept(answer, where)
    except (Wrong, LookupError, TypeError, ValueError) as e:
        why = str(e) if isinstance(e, Wrong) else f"cannot keep {step.get('keep')}: {e!r}"
        raise Wrong(f"{why}\n  {step['request']}\n  -> {answer}") from e


def run_before(sandbox, line, names):
    method, url, *body = fill(line, names).split(" ", 2)
    answer = send(sandbox, {"request": f"{method} {url}", **({"body": body[0]} if body else {})})
    if not 200 <= answer.status < 300:
        raise Wrong(f"before it: {line}\n  -> {answer}")


def run_case(sandbox, case, names):
    if unknown := set(case) - CASE_KEYS:
        raise Wrong(f"the table has unknown words: {unknown}")
    if not case.get("page"):
        raise Wrong("the table does not name the page that says so")
    names = dict(names, fresh=uuid.uuid5(uuid.NAMESPACE_URL, case["name"]))
    for line in case.get("before", []):
        run_before(sandbox, line, names)
    steps = case.get("steps") or [{k: v for k, v in case.items() if k in STEP_KEYS}]
    for step in steps:
        run_step(sandbox, step, names)


def names_of(sandbox):
    return {"root": sandbox.root, "server": sandbox.server, "host": sandbox.host,
            "port": sandbox.port, "nobody": "00000000-0000-4000-8000-00000000dead",
            "token": sandbox.token(), "long": "x" * 33000}


def start(kind, options, folder):
    return Sandbox(kind, [fill(option, {"folder": folder}) for option in options])


def run_alone(table, case, folder):
    with start(table["sandbox"], case["options"], folder) as sandbox:
        run_case(sandbox, case, names_of(sandbox))


def run_file(path, report):
    """report(name, None or what is wrong) for every case of the file."""
    with open(path, "rb") as file:
        table = tomllib.load(file)
    label = os.path.splitext(os.path.basename(path))[0]
    try:
        with tempfile.TemporaryDirectory() as folder, \
                start(table["sandbox"], table.get("options", []), folder) as sandbox:
            names = names_of(sandbox)
            for step in table.get("setup", []):
                run_step(sandbox, step, names)
            for case in table["case"]:
                try:
                    if "options" in case:
                        run_alone(table, case, folder)
                    else:
                        run_case(sandbox, case, names)
                    report(f"{label}: {case['name']}", None)
                except (Wrong, RuntimeError, OSError) as e:
                    report(f"{label}: {case['name']}", str(e))
    except (Wrong, RuntimeError, OSError) as e:
        report(f"{label}: the sandbox runs from the first case to the last", str(e))

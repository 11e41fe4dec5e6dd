"""scale - what a sandbox with many rows costs: the time to make them, the pages a second, the
memory. As a program: scale.py [CONTACTS] prints the numbers of both sandboxes (default 1000000).

What must hold is a million contacts in under a minute; the tests take a tenth of that, with a tenth
of the time."""
import os
import sys
import time

from sandbox import BUILD, Sandbox

PAGE = 5000


def memory_mb(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def cpu_seconds(process):
    """What it computed, so that a machine that does other things as well changes nothing."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_dataverse(sandbox):
    url = "contacts?$select=firstname,lastname,emailaddress1,gendercode,birthdate,_parentcustomerid_value"
    rows = 0
    while url:
        answer = sandbox.ask("GET", url, Prefer=f"odata.maxpagesize={PAGE}")
        assert answer.status == 200, str(answer)
        page = answer.json
        rows += len(page["value"])
        url = page.get("@odata.nextLink")
    return rows


def read_campaign(sandbox):
    url = f"profileAndServicesExt/profile?_lineCount={PAGE}&_forcePagination=true"
    rows = 0
    while url:
        answer = sandbox.ask("GET", url)
        assert answer.status == 200, str(answer)
        page = answer.json
        rows += len(page["content"])
        url = page.get("next", {}).get("href")
    return rows


def measure(kind, contacts):
    with Sandbox(kind, ["--contacts", str(contacts)]) as sandbox:
        made = cpu_seconds(sandbox.process)
        began = time.monotonic()
        rows = (read_dataverse if kind == "dataverse" else read_campaign)(sandbox)
        return {"rows": rows, "made_s": made, "rows_s": rows / (time.monotonic() - began),
                "memory_mb": memory_mb(sandbox.process)}


def run(report, contacts=100_000):
    if BUILD.endswith("sanitize"):
        contacts //= 10  # the sanitizers cost about that much
    for kind in ("dataverse", "campaign"):
        found = measure(kind, contacts)
        minute = 60 * (10 if BUILD.endswith("sanitize") else 1) * contacts / 1_000_000
        report(f"{kind}: {contacts} contacts are made in under {minute:.0f} s",
               None if found["made_s"] < minute else f"{found['made_s']:.1f} s")
        report(f"{kind}: all of them are read, page by page",
               None if found["rows"] >= contacts else f"{found['rows']} rows")
        report(f"{kind}: more than 5000 rows a second are served",
               None if found["rows_s"] > 5000 else f"{found['rows_s']:.0f} rows a second")


if __name__ == "__main__":
    CONTACTS = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    print(f"{'sandbox':12} {'contacts':>9} {'made in s':>10} {'rows/s':>8} {'MB':>6}")
    for KIND in ("dataverse", "campaign"):
        FOUND = measure(KIND, CONTACTS)
        print(f"{KIND:12} {CONTACTS:9} {FOUND['made_s']:10.1f} {FOUND['rows_s']:8.0f} "
              f"{FOUND['memory_mb']:6.0f}", flush=True)

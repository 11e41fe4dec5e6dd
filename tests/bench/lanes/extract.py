"""extract - the first read of extract-dataverse, pages of 5000 rows into the topic in transactions,
beside libcurl reading the same pages and throwing them away."""
import os
import statistics
import subprocess
import time

from case import Case
from cost import cost
from world import BUILD, topic_messages, wait_until

ROWS, RUNS = int(os.environ.get("ROWS", "300000")), int(os.environ.get("RUNS", "3"))
PREFER = ("Prefer: odata.track-changes,odata.maxpagesize=5000,odata.include-annotations="
          "\"OData.Community.Display.V1.FormattedValue,Microsoft.Dynamics.CRM.lookuplogicalname,"
          "Microsoft.Dynamics.CRM.globalmetadataversion\"")


def bare(case, select):
    out = subprocess.run(
        [os.path.join(BUILD, "tests/bench-pages"), select, PREFER,
         f"Authorization: {case.dynamics.headers['Authorization']}"],
        capture_output=True, text=True, check=True).stdout.split()
    return ROWS / float(out[2])


def ours(case, number):
    """(rows a second, CPU seconds, peak MiB): from the first page asked for to the delta link."""
    case.configure({"name": f"{case.name}-{number}"})
    case.tideway("topics", "create", "--flow", "contacts")
    stage = case.start("contacts", "extract-dataverse", name=f"run-{number}")
    case.wait(lambda: "full read begins" in case.log(stage), 30, "the read to begin")
    began = time.monotonic()
    case.wait(lambda: "full read complete" in case.log(stage), 900, "the read to end")
    took = time.monotonic() - began
    cpu, peak = cost(stage)
    stage.stop()
    return ROWS / took, cpu, peak


def selected(case):
    """The URL that the extractor asks for first, from its own checkpoint."""
    case.configure({"name": f"{case.name}-select"})
    case.tideway("topics", "create", "--flow", "contacts")
    stage = case.start("contacts", "extract-dataverse", name="select")

    def checkpoints():
        topic = f"{case.name}-select.checkpoint.contacts"
        return [m["value"] for m in topic_messages(case.world_env, topic) if m["value"]]
    found = wait_until(checkpoints, 60, "a checkpoint")
    stage.stop()
    return found[0]["select"]


def lane(world):
    case = Case(world, "bench-extract", 0)
    case.setup(contacts=ROWS)
    select = selected(case)
    limits, runs = [], []
    for i in range(RUNS):
        limits.append(bare(case, select))
        runs.append(ours(case, i))
    rate, limit = statistics.median(r[0] for r in runs), statistics.median(limits)
    yield {"lane": "extract", "rate": rate, "limit_rate": limit, "ratio": rate / limit,
           "cpu_s_per_million": statistics.median(r[1] for r in runs) / ROWS * 1e6,
           "rss_mib": statistics.median(r[2] for r in runs), "runs": RUNS, "rows": ROWS}
    case.close()

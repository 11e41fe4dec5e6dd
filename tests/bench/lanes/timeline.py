"""timeline - load-dataverse beside a bare libcurl loop that posts the same batches to the same sandbox:
rows a second, and requests per 1,000 events."""
import json
import os
import statistics
import subprocess
import time
import uuid

from case import Case
from cost import cost
from world import BUILD, wait_until

ROWS, BATCH, FLIGHT, RUNS, CONTACTS = 60000, 1000, 4, int(os.environ.get("RUNS", "3")), 500
FLOW, TABLE = "email-events", "adobe_emailsend"
HEAD = ("broadLogId,status,failureType,failureReason,eventDate,profileExternalId,deliveryName,"
        "deliveryLabel,campaignName,campaignLabel,messageType,testProfile\n")


def rows_of(case):
    return case.dynamics.get(f"/RetrieveTotalRecordCount(EntityNames=%5B%22{TABLE}%22%5D)")[
        "EntityRecordCountCollection"]["Values"][0]


def fill(case, contacts, run):
    """A file of sends goes through extractor and transformer, so that only loading is left."""
    with open(os.path.join(case.exports, f"acs_broadlog_{run}.csv"), "w", encoding="ascii") as f:
        f.write(HEAD + "".join(
            f"{run * ROWS + i},1,0,0,2026-05-01T10:00:00Z,{contacts[i % len(contacts)]},DM1,Spring,"
            "SPRING,Spring,0,false\n" for i in range(ROWS)))
    extractor = case.stages[0]
    wait_until(lambda: case.log(extractor).count("file read") > run, 60, "the file to be read")
    wait_until(lambda: case.status(FLOW)["load-dataverse"]["backlog"] >= ROWS, 60, "the activities")


def ours(case, run):
    """(rows a second from the first row to the last, CPU seconds, peak MiB, calls)"""
    before, calls = rows_of(case), sum(
        n for r, _, _, n in case.dynamics_box.requests() if "UpsertMultiple" in r)
    stage = case.start(FLOW, "load-dataverse", name=f"load-{run}")
    first = wait_until(lambda: rows_of(case) - before, 60, "the first rows", pause=0.005)
    began = time.monotonic()
    wait_until(lambda: rows_of(case) - before >= ROWS, 120, f"{ROWS} rows", pause=0.01)
    rate = (ROWS - first) / (time.monotonic() - began)
    case.drained(FLOW, "load-dataverse")
    cpu, peak = cost(stage)
    stage.stop()
    calls = sum(n for r, _, _, n in case.dynamics_box.requests() if "UpsertMultiple" in r) - calls
    return rate, cpu, peak, calls


def bare(case, contacts):
    """(rows a second, CPU seconds)"""
    path = case.world.path("config", "bodies")
    with open(path, "w", encoding="ascii") as f:
        for at in range(0, ROWS, BATCH):
            f.write(json.dumps({"Targets": [{
                "@odata.type": f"Microsoft.Dynamics.CRM.{TABLE}", "activityid": str(uuid.uuid4()),
                "subject": "Campaign Name: SPRING; Delivery Name: DM1",
                "adobe_senton": "2026-05-01T10:00:00.000Z", "actualend": "2026-05-01T10:00:00.000Z",
                "sortdate": "2026-05-01T10:00:00.000Z", "adobe_campaignname": "SPRING",
                "adobe_deliveryname": "DM1", "statecode": 1,
                f"regardingobjectid_contact_{TABLE}@odata.bind":
                    f"/contacts({contacts[(at + i) % len(contacts)]})"} for i in range(BATCH)]}) + "\n")
    out = subprocess.run(
        [os.path.join(BUILD, "tests/bench-curl-post"),
         f"{case.dynamics_box.url}/api/data/v9.2/{TABLE}s/Microsoft.Dynamics.CRM.UpsertMultiple", path,
         str(FLIGHT), f"Authorization: {case.dynamics.headers['Authorization']}",
         "Content-Type: application/json"], capture_output=True, text=True, check=True).stdout.split()
    return ROWS / float(out[0]), float(out[1])


def lane(world):
    world.up("sftp", quiet=True)
    case = Case(world, "bench-timeline", 2)
    case.setup(FLOW, contacts=CONTACTS, overlay={"flows": {FLOW: {"max_in_flight": FLIGHT}}})
    contacts = [c["contactid"] for c in case.dynamics.rows("contacts")]
    case.start(FLOW, "extract-campaign-logs", "transform-marketing-event")
    limits, runs = [], []
    for run in range(RUNS):
        fill(case, contacts, run)
        limits.append(bare(case, contacts))
        runs.append(ours(case, run))
    rate, limit = (statistics.median(x[0] for x in some) for some in (runs, limits))
    yield {"lane": "timeline", "rate": rate, "limit_rate": limit, "ratio": rate / limit,
           "cpu_s_per_million": statistics.median(r[1] for r in runs) / ROWS * 1e6,
           "limit_cpu_s_per_million": statistics.median(x[1] for x in limits) / ROWS * 1e6,
           "rss_mib": statistics.median(r[2] for r in runs), "runs": RUNS,
           "requests_per_1000_events": statistics.median(r[3] for r in runs) / ROWS * 1000}
    case.close()

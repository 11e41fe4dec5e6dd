"""timeline - what Dynamics may do to load-dataverse, and what the loader must not do to Dynamics: how
many calls it makes, what it does with rows that are refused, late, or there already."""
import json
import os
import re
import shutil
import uuid

import reader
from case import expect
from events import (FLOW, SENDING, TRACKING, agree, contacts_of, deliver, events_of, have, put_file,
                    rejected, requests_of, sending, setup, tracking, without_state)
from wire import Wire
from world import TOP


def missing(n):
    """A contact that does not exist."""
    return str(uuid.UUID(int=(n + 1) * 0x9e3779b97f4a7c15 % (1 << 60) + (4 << 76) + (8 << 60)))


def asks(case):
    """How often the loader asked which contacts are there."""
    return sum(n for (route, method, _), n in requests_of(case, "contacts").items() if method == "GET")


def waiting_activities(case, rows, count, **overlay):
    """Only the loader is left to be started, and Dynamics' counts begin with it."""
    setup(case, contacts=60, stages=False, overlay=events_of(case, **overlay))
    case.start(FLOW, "extract-campaign-logs", "transform-marketing-event")
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(rows(contacts_of(case))))
    case.wait(lambda: len(case.messages("crm.email-activity")) == count, 60, f"{count} activities")
    case.dynamics_box.clear()


def test_many_missing_contacts_cost_few_calls(case):
    """Of 6,000 rows every other one names a contact of its own that does not exist: they are asked
    for, 200 a call; batches are not halved down to them."""
    waiting_activities(case, lambda some: (sending(missing(n) if n % 2 else some[n % len(some)], n)
                                           for n in range(6000)), 6000, orphan_after="1h")
    case.start(FLOW, "load-dataverse")
    case.wait(lambda: have(case)["send"] == 3000, 60, "3,000 rows")
    case.drained(FLOW, "load-dataverse")
    writes, asked = sum(requests_of(case, "UpsertMultiple").values()), asks(case)
    expect(writes + asked <= 100, f"{writes} writes and {asked} questions for 6,000 rows")
    expect(not rejected(case, "load-dataverse"), "something was rejected")


def test_rows_that_wait_for_a_contact_use_up_no_day(case):
    """Rows whose contact is not there are tried again and again; with rows_per_day the day's rows are
    left to those that can be written."""
    waiting_activities(case, lambda some: (sending(missing(n), n) for n in range(60)), 60,
                       orphan_after="40s", rows_per_day=200)
    stage = case.start(FLOW, "load-dataverse")
    parked = lambda: case.status(FLOW)["load-dataverse"].get("waiting") == 60  # noqa: E731
    case.wait(parked, 20, "60 rows to wait")
    tries = lambda: [int(n) for n in  # noqa: E731
                     re.findall(r"msg=progress .*?requests=(\d+)", case.log(stage))]
    case.wait(lambda: tries() and tries()[-1] >= 9, 30, "them to be tried again and again")
    some = contacts_of(case)
    put_file(case, "acs_broadlog_2.csv", SENDING + "".join(
        sending(some[n % len(some)], 1000 + n) for n in range(150)))
    case.wait(lambda: have(case)["send"] == 150, 15, "the rows that can be written")


def with_long_urls(case, length):
    """(folder of tables, folder of metadata) in which a tracking URL may be so long."""
    tables, metadata = (os.path.join(case.world.folder, name, case.name) for name in ("tables", "metadata"))
    for kept, folder, file, key in (
            ("tests/sandbox/dataverse/tables", tables, "adobe_emailurlclick.json", "maxLength"),
            ("deploy/metadata", metadata, "dataverse.adobe_emailurlclick.json", "max_length")):
        shutil.copytree(os.path.join(TOP, kept), folder)
        path = os.path.join(folder, file)
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        data["columns"]["adobe_trackingurl"][key] = length
        with open(path, "w", encoding="utf-8") as f:
            json.dump(data, f)
    return tables, metadata


def test_rows_that_are_too_large_for_one_request_are_divided(case):
    """600 clicks with URLs of 60,000 characters are more than a request may be: they are divided, and
    the process does not end over it."""
    tables, metadata = with_long_urls(case, 65000)
    setup(case, contacts=60, stages=False, dynamics=("--tables", tables),
          overlay=dict(events_of(case), metadata=metadata))
    case.start(FLOW, "extract-campaign-logs", "transform-marketing-event")
    some, url = contacts_of(case), "https://www.example.com/" + "a" * 60000
    put_file(case, "acs_tracking_1.csv", TRACKING + "".join(
        tracking(some[n % len(some)], n, url=url) for n in range(600)))
    case.wait(lambda: case.log(case.stages[-2]).count("file read"), 40, "the file to be read")
    case.drained(FLOW, "transform-marketing-event")
    case.start(FLOW, "load-dataverse")
    case.wait(lambda: have(case)["click"] == 600, 60, "600 clicks")


def test_a_cut_over_with_a_restart_does_not_take_our_rows_for_theirs(case):
    """Of two clicks of one second the first was written before a restart within the cut-over's window:
    the second comes to the timeline all the same."""
    setup(case, stages=False)
    a = contacts_of(case)[0]
    case.configure(events_of(case, since="2026-05-01T09:00:00Z", cutover="2026-05-01T11:00:00Z",
                             cutover_window="1h"))
    case.start(FLOW)
    put_file(case, "acs_tracking_1.csv", TRACKING + tracking(a, 1))
    case.wait(lambda: have(case)["click"] == 1, 20, "the first click")
    case.drained(FLOW, "load-dataverse")
    case.stages[-1].kill()
    case.start(FLOW, "load-dataverse", name="again")
    put_file(case, "acs_tracking_2.csv", TRACKING + tracking(a, 2, url="https://www.example.com/b"))
    case.wait(lambda: have(case)["click"] == 2, 20, "the second click")


def test_a_cut_over_knows_the_rows_of_contacts_that_were_merged(case):
    """Theirs went to the winner with the merge; our event, which names the loser, is the same one."""
    setup(case, stages=False)
    a, b, c = contacts_of(case)[:3]
    at = "2026-05-01T10:00:30Z"
    case.dynamics.create("adobe_emailsends", {
        "subject": "Campaign Name: SPRING; Delivery Name: DM1", "adobe_senton": at,
        "adobe_campaignname": "SPRING", "adobe_deliveryname": "DM1",
        "regardingobjectid_contact_adobe_emailsend@odata.bind": f"/contacts({a})"})
    case.dynamics.request("POST", "/Merge", {
        "Target": {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": b},
        "Subordinate": {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": a},
        "PerformParentingChecks": False})
    case.configure(events_of(case, since="2026-05-01T09:00:00Z", cutover="2026-05-01T10:00:00Z",
                             cutover_window="1h"))
    case.start(FLOW)
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(a, 1, time=at) + sending(c, 2, time=at))
    case.wait(lambda: have(case)["send"] >= 2, 20, "the send of another contact")
    case.drained(FLOW, "load-dataverse")
    expect(have(case)["send"] == 2, f"{have(case)}")


def test_texts_that_are_too_long_are_cut_as_dynamics_counts(case):
    """A delivery's name of 200 emoji is 400 units of UTF-16 for Dynamics: it is cut to the column's 255
    between characters, and the row is written."""
    setup(case)
    put_file(case, "acs_broadlog_1.csv",
             SENDING + sending(contacts_of(case)[0], 1, delivery="D" + "\U0001f600" * 200))
    case.wait(lambda: have(case)["send"] == 1, 20, "the send")
    name = case.dynamics.rows("adobe_emailsends")[0]["adobe_deliveryname"]
    expect(name == "D" + "\U0001f600" * 127, f"{len(name)} characters: {name[-3:]!r}")


def test_a_batch_without_bulk_messages_completes_its_rows_in_a_second_one(case):
    """Without bulk messages and without a state at creation each row is written and completed, also those
    that share a batch with a row whose contact is not there."""
    tables = [o for t, _ in reader.ACTIVITIES.values() for o in ("--no-bulk", t)]
    setup(case, dynamics=(*tables, "--tables", without_state(case)),
          overlay=events_of(case, orphan_after="1h"))
    some = contacts_of(case)
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(
        sending(missing(n) if n % 7 == 3 else some[n % len(some)], n) for n in range(70)))
    case.wait(lambda: have(case)["send"] == 60, 20, "60 rows")
    case.wait(lambda: all(r["statecode"] == 1 for r in case.dynamics.rows("adobe_emailsends")), 20,
              "all of them to be completed")
    expect(not rejected(case, "load-dataverse"), "something was rejected")


def test_a_token_that_is_revoked_is_asked_for_anew(case):
    """When tokens are refused in mid-work a new one is taken, and nothing is lost."""
    setup(case, stages=False)
    for program in ("extract-campaign-logs", "transform-marketing-event"):
        stage = case.start(FLOW, program)
        case.wait(lambda s=stage: "msg=started" in case.log(s), 20, "it to have read its configuration")
    case.configure(events_of(case, poll="1h"))  # or the question about merges finds it out
    case.start(FLOW, "load-dataverse")
    deliver(case, name="DM1", export={})
    agree(case)
    case.dynamics_box.control.request("POST", "/_sandbox/revoke-tokens")
    case.dynamics = reader.Dynamics(case.env)  # the test's own was refused, too
    deliver(case, name="DM2", export={})
    agree(case)
    expect(not rejected(case, "load-dataverse"), "something was rejected")


def test_a_batch_that_takes_dynamics_too_long_is_made_smaller(case):
    """A time-out of its database is not the rows' fault: they go again, in smaller batches."""
    waiting_activities(case, lambda some: (sending(some[n % len(some)], n) for n in range(800)), 800)
    case.dynamics_box.fault(path="*UpsertMultiple*", status=500, count=3, body=json.dumps(
        {"error": {"code": "0x80044151", "message": "Generic SQL error. SQL timeout expired."}}))
    case.start(FLOW, "load-dataverse")
    case.wait(lambda: have(case)["send"] == 800, 40, "800 rows")
    expect(not rejected(case, "load-dataverse"), "something was rejected")


def test_rows_that_are_too_many_for_dynamics_go_in_smaller_batches(case):
    """A server that is too slow for more than some 40 rows a call gets fewer: a batch that timed out is
    divided, not sent again and again as it was; by the server's own time-out, and by ours."""
    waiting_activities(case, lambda some: (sending(some[n % len(some)], n) for n in range(400)), 400)
    wire = Wire(case.world.base + 50 + case.slot, case.dynamics_port)
    case.sandboxes.append(wire)
    ours = []

    @wire.rule
    def slow(e):
        if "UpsertMultiple" not in e.path or int(e.headers["Content-Length"]) < 14000:
            return
        ours.append(len(ours) % 2)
        if ours[-1]:
            e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
        else:
            e.answer(504, {})
    case.world_env.env = dict(case.env, DATAVERSE_URL=wire.url,
                              DATAVERSE_TOKEN_URL=f"{wire.url}/sandbox/oauth2/v2.0/token")
    stage = case.start(FLOW, "load-dataverse")
    case.drained(FLOW, "load-dataverse", 40)
    expect(have(case)["send"] == 400 and ours, f"{have(case)} rows")
    expect(len(ours) <= 24, f"{len(ours)} calls were too large")
    expect(not rejected(case, "load-dataverse"), case.log(stage)[-500:])


def test_a_question_that_is_refused_condemns_no_row(case):
    """A server that refuses the question which contacts are there: rows are found by halves, those
    without a contact wait, and nothing is a dead letter."""
    waiting_activities(case, lambda some: (sending(missing(n) if n % 9 == 4 else some[n % len(some)], n)
                                           for n in range(90)), 90, orphan_after="1h")
    wire = Wire(case.world.base + 50 + case.slot, case.dynamics_port)
    case.sandboxes.append(wire)
    asked = []

    @wire.rule
    def refuse(e):
        if "CRM.In(" in e.path:
            asked.append(e.path)
            e.answer(400, {"error": {"code": "0x80060888", "message": "no"}})
    case.world_env.env = dict(case.env, DATAVERSE_URL=wire.url,
                              DATAVERSE_TOKEN_URL=f"{wire.url}/sandbox/oauth2/v2.0/token")
    case.start(FLOW, "load-dataverse")
    case.drained(FLOW, "load-dataverse", 40)
    case.wait(lambda: case.status(FLOW)["load-dataverse"].get("waiting") == 10, 20, "10 rows to wait")
    expect(have(case)["send"] == 80 and asked, f"{have(case)} rows, asked {len(asked)} times")
    expect(not rejected(case, "load-dataverse"), "something was rejected")


def test_a_kill_between_writing_and_completing_leaves_no_activity_open(case):
    """Rows that were written and not yet completed when the loader was killed are completed by the next
    one, also within the window of a cut-over, where what is there is not written again."""
    setup(case, stages=False, dynamics=("--tables", without_state(case)))
    case.configure(events_of(case, since="2026-05-01T09:00:00Z", cutover="2026-05-01T10:00:00Z",
                             cutover_window="1h"))
    case.dynamics_box.fault(path="*CRM.UpdateMultiple*", status=500, count=10000, body=json.dumps(
        {"error": {"code": "0x80044150", "message": "Generic SQL error."}}))
    case.start(FLOW)
    some = contacts_of(case)
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(sending(some[n], n) for n in range(50)))
    case.wait(lambda: have(case)["send"] == 50, 20, "50 rows")
    case.stages[-1].kill()
    case.dynamics_box.no_faults()
    expect(not [r for r in case.dynamics.rows("adobe_emailsends") if r["statecode"]], "completed too soon")
    case.start(FLOW, "load-dataverse", name="again")
    case.wait(lambda: all(r["statecode"] == 1 for r in case.dynamics.rows("adobe_emailsends")), 30,
              "all to be completed")
    expect(have(case)["send"] == 50, f"{have(case)}")

"""extraction - what Dataverse does to an extractor, once a day or once in a year: nothing is lost,
nothing is invented, and nobody has to look."""

import json
import os
import re

import yaml

from case import expect
from wire import Wire
from world import TOP, topic_keys, wait_until


def extractor(case):
    return next(s for s in case.stages if s.program == "extract-dataverse" and s.running())


def wired(case, contacts=100, overlay=None, **options):
    """A case whose stages reach the sandbox through a wire that tests can bend."""
    case.setup("contacts", contacts=contacts, **options)
    wire = Wire(case.world.base + 50 + case.slot, case.dynamics_port)
    case.sandboxes.append(wire)
    case.world_env.env = dict(case.env, DATAVERSE_URL=wire.url,
                              DATAVERSE_TOKEN_URL=f"{wire.url}/sandbox/oauth2/v2.0/token")
    case.configure(overlay)
    return wire


def small_pages(n=10, **more):
    return {"flows": {"contacts": dict({"page_size": n}, **more)}}


def rows_in_topic(case, table="contact"):
    return len(topic_keys(case.world_env, case.topic(f"crm.{table}")))


def change_one(case, number=0, title="1"):
    row = case.dynamics.rows("contacts")[number]
    case.dynamics.update("contacts", row["contactid"], {"jobtitle": title})
    return row["contactid"]


def progress(case):
    return case.status("contacts")["extract-dataverse"]["progress"]


def profiles(case):
    return case.campaign_box.control.get("/_sandbox/stats")["rows"]["profile"]


# ---- pages -----------------------------------------------------------------------------------------

def test_an_empty_page_with_a_next_link_is_followed(case):
    """A page without rows is not the end: only a page without a next link is."""
    wire = wired(case, 60, small_pages())
    emptied, known = [], set()

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and e.status == 200:
            page = e.json()
            # Every page comes twice: first without its rows, as a page that was filtered away.
            path = re.sub(r"[?&]tag=[^&]*", "", e.path)
            if path not in known and "@odata.nextLink" in page:
                known.add(path)
                link = f"{wire.url}{path}&tag={len(known)}"
                e.answer(200, dict(page, value=[], **{"@odata.nextLink": link}))
                emptied.append(link)
    case.start("contacts")
    case.agree()
    expect(len(emptied) >= 5, "no page was emptied")
    case.each_version_once("crm.contact")


def test_a_next_link_that_repeats_does_not_loop(case):
    """A next link that was read before is not followed; the read begins again and comes through."""
    wire = wired(case, 60, small_pages())
    repeated, linked = [], []

    @wire.rule
    def _(e):  # the fourth page leads back to the second: a loop of three
        if e.is_page("contacts") and not e.is_delta() and "skiptoken" in e.path:
            if e.path not in linked:
                linked.append(e.path)
            if linked.index(e.path) == 2 and len(repeated) < 4:
                e.answer(200, dict(e.json(), **{"@odata.nextLink": f"{wire.url}{linked[0]}"}))
                repeated.append(e.path)
    case.start("contacts")
    case.agree(60)
    expect(len(repeated) == 4, "no link was repeated")
    expect("read before" in case.log(extractor(case)), "the loop is not said")
    expect("the full read begins again" in case.log(extractor(case)), "it was followed to its end")


def test_a_row_on_two_pages_is_written_once(case):
    """A row that moved in the order while pages were read is in two of them."""
    wire = wired(case, 60, small_pages())
    last, twice = [], []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and e.status == 200:
            page = e.json()
            if last:
                twice.append(last[0]["contactid"])
                e.answer(200, dict(page, value=last[-2:] + page["value"]))
            last[:] = page["value"]
    case.start("contacts")
    case.agree()
    expect(len(twice) >= 5, "no row was repeated")
    case.each_version_once("crm.contact")


def test_a_last_page_without_a_delta_link_is_asked_for_again(case):
    """Without a delta link changes could not be followed: the page is read again until it has one."""
    wire = wired(case, 30, small_pages())
    cut = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and len(cut) < 5:
            page = e.json()
            if page.pop("@odata.deltaLink", None):
                e.answer(200, page)
                cut.append(e.path)
    case.start("contacts")
    case.agree(60)
    expect(len(cut) == 5, "no delta link was cut")
    change_one(case)
    case.agree()


def test_pages_that_are_too_heavy_become_smaller(case):
    """Pages that time out on the server are asked for with fewer rows, and the read comes through;
    the next one tries larger pages."""
    wire = wired(case, 400, small_pages(200))
    refused, refusing = [], [True]

    @wire.rule
    def _(e):
        if refusing and e.is_page("contacts") and (e.page_size() or 0) > 60:
            refused.append(e.page_size())
            e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
    case.start("contacts")
    case.agree(60)
    expect(sorted(set(refused), reverse=True)[:2] == [200, 100], f"sizes: {set(refused)}")
    sizes = {e.page_size() for e in wire.pages("contacts") if e.status == 200}
    expect(50 in sizes, f"sizes that worked: {sizes}")
    case.each_version_once("crm.contact")
    refusing.clear()
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.wait(lambda: case.log(extractor(case)).count("full read complete") == 2, 20, "the next read")
    last = [e.page_size() for e in wire.pages("contacts") if not e.is_delta()][-1]
    expect(last == 100, f"the next read had pages of {last}")


# ---- deletes ---------------------------------------------------------------------------------------

def held_back(wire, entity_set="contacts"):
    """Deltas are refused until the returned function is called."""
    closed = [True]

    @wire.rule
    def _(e):
        if closed[0] and e.is_page(entity_set) and e.is_delta():
            e.answer(503, {"error": {"code": "", "message": "held"}})
    return lambda: closed.__setitem__(0, False)


def test_deleted_and_created_again_between_polls_lives(case):
    """The answer holds the row and a deletion of it, in an order that says nothing: the row lives."""
    wire = wired(case, 40)
    case.start("contacts")
    case.agree()
    release = held_back(wire)
    old = case.dynamics.rows("contacts")[3]
    victim = old["contactid"]
    case.dynamics.delete("contacts", victim)
    # Its opt-outs stay: that they do so in Campaign is another promise.
    case.dynamics.request("PATCH", f"/contacts({victim})", dict(
        {f: v for f, v in old.items() if f.startswith("donot") and "@" not in f}, lastname="Again"))
    seen = []

    @wire.rule
    def _(e):  # some servers list both
        if e.is_page("contacts") and e.is_delta() and e.status == 200:
            page = e.json()
            if any(r.get("contactid") == victim for r in page["value"]):
                gone = {"@odata.context": "#contacts/$deletedEntity", "id": victim,
                        "reason": "deleted"}
                e.answer(200, dict(page, value=page["value"] + [gone]))
                seen.append(victim)
    release()
    case.agree()
    expect(seen, "the answer did not hold both")
    mine = [m["value"]["op"] for m in case.messages("crm.contact")
            if m["key"] == victim and m["value"]]
    expect(mine[-1] == "upsert" and "delete" not in mine, f"changes of the row: {mine}")


def test_created_and_deleted_between_polls_ends_deleted(case):
    """A row that nobody ever saw is reported as deleted: that is all that is written of it."""
    wire = wired(case, 40)
    case.start("contacts")
    case.agree()
    release = held_back(wire)
    key = case.dynamics.create("contacts", {"lastname": "Mayfly"})
    case.dynamics.delete("contacts", key)
    release()
    case.wait(lambda: any(m["key"] == key for m in case.messages("crm.contact")), 20,
              "the deletion to be written")
    case.drained("contacts", "load-campaign")
    case.agree()
    ops = [m["value"]["op"] for m in case.messages("crm.contact")
           if m["key"] == key and m["value"]]
    expect(ops == ["delete"], f"changes of the row: {ops}")
    last = [m["value"] for m in case.messages("crm.contact") if m["key"] == key][-1]
    expect(last is None, "no tombstone lets compaction forget the key")


def expire(case, wire, deleted=5):
    """Rows are deleted and changed while nobody looks, and the token expires meanwhile."""
    release = held_back(wire)
    rows = case.dynamics.rows("contacts")
    for row in rows[:deleted]:
        case.dynamics.delete("contacts", row["contactid"])
    case.dynamics.update("contacts", rows[-1]["contactid"], {"jobtitle": "while away"})
    case.dynamics.create("contacts", {"lastname": "New", "emailaddress1": "n@example.com"})
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    release()


def test_an_expired_token_heals_and_finds_what_was_deleted(case):
    """A full read in a new epoch; what the topic knows and the read does not meet is deleted."""
    wire = wired(case, 200, small_pages(50))
    case.start("contacts")
    case.agree()
    expire(case, wire)
    case.agree()
    ops = [(m["value"]["op"], m["value"]["origin"]) for m in case.messages("crm.contact")
           if m["value"]]
    expect(ops.count(("delete", "reconcile")) == 5, f"{ops.count(('delete', 'reconcile'))} deletes")
    expect(len({m["value"]["epoch"] for m in case.messages("crm.contact") if m["value"]}) == 2,
           "there are not two epochs")
    case.each_version_once("crm.contact")
    change_one(case, 1, "after")
    case.agree()
    expect("the delta token has expired" in case.log(extractor(case)), "the log does not say it")


def test_a_token_that_is_not_taken_heals_too(case):
    """Whatever error a server has for a bad token: the cure is the same."""
    wire = wired(case, 60)
    case.start("contacts")
    case.agree()
    victim = case.dynamics.rows("contacts")[0]["contactid"]
    broken = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and len(broken) < 3:
            if not broken:
                case.dynamics.delete("contacts", victim)
            broken.append(e.path)
            e.answer(400, {"error": {"code": "0x80040203", "message": "Invalid token."}})
    case.wait(lambda: len(broken) == 3, 20, "three deltas")
    case.agree()
    expect("the delta token is not taken" in case.log(extractor(case)), "the log does not say it")


def test_a_next_link_that_has_expired_begins_the_full_read_again(case):
    """An extractor that was away for long in the middle of a full read has an old next link."""
    wire = wired(case, 100, small_pages())
    expired = []

    @wire.rule
    def _(e):
        links = [p for p in wire.pages("contacts") if "skiptoken" in p.path and p.status == 200]
        if e.is_page("contacts") and "skiptoken" in e.path and len(links) > 3 and not expired:
            expired.append(e.path)
            e.answer(400, {"error": {"code": "0x80044352", "message":
                                     "Version stamp associated with the client has expired."}})
    case.start("contacts")
    case.agree()
    expect(expired, "no link has expired")
    expect("begins again" in case.log(extractor(case)), "the log does not say it")


def test_another_organization_in_mid_run_is_noticed_before_its_rows_are_read(case):
    """A copy behind the same URL: its delta token is none of ours, but its rows are not ours either."""
    wire = wired(case, 150, small_pages(50))
    case.start("contacts")
    case.agree()
    port = case.world.base + 70 + case.slot
    case.sandbox("sandbox-dataverse", port, "--contacts", "160", "--seed", "99", "--organization",
                 "11111111-2222-3333-4444-555555555555")
    stage, seen = extractor(case), rows_in_topic(case)

    @wire.rule
    def _(e):
        if e.is_delta():
            e.answer(400, {"error": {"code": "0x80040203", "message": "Invalid token."}})
    wire.upstream_port = port
    case.world_env.stages.remove(stage)
    expect(stage.wait(30) == 100, "the extractor goes on")
    expect("is organization 11111111" in stage.tail(), "the log does not say why")
    expect(rows_in_topic(case) == seen, "rows of another organization were written")


def test_a_row_that_changes_while_all_are_read_again_is_written_once(case):
    """Changes are followed meanwhile: the full read does not write again what they brought."""
    wired(case, 100, small_pages())
    case.start("contacts")
    case.agree()
    last = max(case.dynamics.rows("contacts"), key=lambda r: r["contactid"])["contactid"]
    case.dynamics_box.fault(path="*skiptoken*", delay_ms=1500, count=100)
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.wait(lambda: "full read" in progress(case), 20, "the full read to begin")
    case.dynamics.update("contacts", last, {"jobtitle": "meanwhile"})
    case.wait(lambda: any(m["value"] and m["value"]["row"] and
                          m["value"]["row"]["jobtitle"] == "meanwhile"
                          for m in case.messages("crm.contact")), 20, "the change")
    expect("full read" in progress(case), "the full read was over before the change came")
    case.dynamics_box.no_faults()
    case.wait(lambda: progress(case).startswith("following"), 30, "the end")
    case.agree()
    case.each_version_once("crm.contact")


def test_a_row_that_changes_during_the_first_read_is_written_once(case):
    """The read meets it as it is by then, and the first delta brings it again."""
    wire = wired(case, 100, small_pages())
    last = case.dynamics.rows("contacts")[55]["contactid"]  # not on the last page
    changed = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.status == 200 and not changed:
            changed.append(last)
            case.dynamics.update("contacts", last, {"jobtitle": "meanwhile"})
    case.start("contacts")
    case.agree()
    polls = len(wire.pages("contacts"))
    case.wait(lambda: len(wire.pages("contacts")) > polls + 1, 20, "the polls after it")
    case.each_version_once("crm.contact")
    change_one(case, 5, "after")
    case.agree()


def test_polls_go_on_where_they_were_while_all_rows_are_read_again(case):
    """A full read that was asked for does not set the mark back: nothing is read or written twice."""
    wire = wired(case, 100, small_pages(changes="versionnumber"))
    case.start("contacts")
    case.agree()
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.wait(lambda: "full read complete" in case.log(extractor(case)).split("asked by")[-1], 30,
              "the full read")
    change_one(case, 3, "after")
    case.agree()
    # All rows are young here: the first polls after a read go back to what was there minutes before it.
    def polled():
        return [e.path for e in wire.pages("contacts") if "filter=" in e.path and e.first()]
    case.wait(lambda: len(polled()) > 8, 20, "some polls")
    polls = polled()
    back = [p for p in polls if p.endswith("gt%200")]
    expect(len(back) <= 4 < len(polls), f"{len(back)} of {len(polls)} polls began at the first row")
    case.each_version_once("crm.contact")


def test_check_counts_the_pages_of_tables_that_are_read_in_full(case):
    """Requests a day of the whole configuration, beside what a tenant has."""
    case.setup("contacts", contacts=95)

    def quiet(**flow):
        case.configure({"flows": {"contacts": dict(flow, poll="1h")}})
        return json.loads(case.tideway("check", "--json")[1])["requests_a_day"]["quiet"]
    ten, hundred = quiet(changes="full", page_size=10), quiet(changes="full", page_size=100)
    expect(ten - hundred == 24 * 9, f"{ten} and {hundred} requests a day")
    expect("requests a day" in case.tideway("check")[1], "check prints no number")


def test_half_an_emoji_does_not_stop_a_page(case):
    """A column that was cut in UTF-16 units ends with half of a pair: the rest of it arrives."""
    wire = wired(case, 30, small_pages())
    cut = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.status == 200:
            new = re.sub(rb'"jobtitle":"(?:[^"\\]|\\.)*"', rb'"jobtitle":"cut \\ud83d"', e.body)
            cut.append(new != e.body)
            e.answer(200, new, **{"Content-Type": "application/json"})
    case.start("contacts")
    case.wait(lambda: rows_in_topic(case) == 30, 20, "all rows")
    titles = {m["value"]["row"]["jobtitle"] for m in case.messages("crm.contact")}
    expect(any(cut) and titles == {"cut \ufffd"}, f"found {titles}")


def test_killed_while_it_reconciles_it_goes_on(case):
    """Each restart goes on at the next page, with the rows that were met known from the topic."""
    wire = wired(case, 300, small_pages())
    case.start("contacts")
    case.agree()
    case.dynamics_box.fault(path="*contacts*", delay_ms=60, count=2000)
    expire(case, wire)
    case.wait(lambda: "reconcile" in progress(case), 20, "the full read to begin")
    before = len([e for e in wire.pages("contacts") if not e.is_delta()])
    for _ in range(3):
        read = rows_in_topic(case)
        case.wait(lambda n=read: rows_in_topic(case) > n + 20, 30, "some pages")
        extractor(case).kill()
        case.start("contacts", "extract-dataverse")
    case.dynamics_box.no_faults()
    case.agree(40)
    case.each_version_once("crm.contact")
    pages = len([e for e in wire.pages("contacts") if not e.is_delta()]) - before
    expect(pages <= 30 + 3 + 3, f"{pages} pages were read for 30")
    deletes = [m for m in case.messages("crm.contact") if m["value"] and m["value"]["op"] == "delete"]
    expect(len(deletes) == 5, f"{len(deletes)} deletes")


def narrow(case, fraction):
    case.dynamics_box.control.request("POST", "/_sandbox/restrict",
                                      {"table": "contact", "fraction": fraction})


def test_a_narrowed_role_deletes_nobody(case):
    """Half of the rows are hidden and the token expires: no delete is published, status says how
    many are held back, changes go on; approve reads again first, so that a mended role costs none."""
    case.setup("contacts", contacts=400)
    case.start("contacts")
    case.agree()
    narrow(case, 0.5)
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.wait(lambda: "deletes held" in progress(case), 30, "the guard to hold deletes back")
    held = int(progress(case).split(";")[1].split()[0])
    expect(100 < held < 300, f"{held} of 400 are held")
    change_one(case, 0, "while held")
    case.wait(lambda: any(p["cusJobTitle"] == "while held" for p in case.campaign.rows("profile")), 20,
              "changes to go on")
    expect(profiles(case) == 400, f"{profiles(case)} profiles of 400")
    narrow(case, 0.25)  # more than what was held back when it was approved
    for times, words in ((2, ()), (3, ("--deletes", "1"))):
        code, _, err = case.tideway("approve", "--flow", "contacts", *words, check=False)
        expect(code == 0, err)
        case.wait(lambda n=times: case.log(extractor(case)).count("deletes held back") >= n, 30,
                  "the guard to hold again what was not approved")
    expect(profiles(case) == 400, f"{profiles(case)} profiles of 400")
    narrow(case, 1)
    change_one(case, 0, "mended")
    expect(case.tideway("approve", "--flow", "contacts")[0] == 0, "approve")
    case.wait(lambda: "held" not in progress(case) and progress(case).startswith("following"), 30,
              "nothing to be held any more")
    case.agree()
    expect(case.tideway("approve", "--flow", "contacts", check=False)[0] == 100,
           "nothing is held, and approve says no word")
    deletes = [m for m in case.messages("crm.contact") if m["value"] and m["value"]["op"] == "delete"]
    expect(not deletes, f"{len(deletes)} deletes were published")


def test_approved_deletes_are_carried_out(case):
    """What an operator approved is deleted, when it is still gone."""
    case.setup("contacts", contacts=300)
    case.start("contacts")
    case.agree()
    case.configure({"flows": {"contacts": {"max_deletes": 10}}})
    extractor(case).stop()
    for row in case.dynamics.rows("contacts")[:30]:
        case.dynamics.delete("contacts", row["contactid"])
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: "30 deletes held" in progress(case), 30, "the guard to hold deletes back")
    expect(profiles(case) == 300, f"{profiles(case)} profiles of 300")
    expect("30 deletes" in case.tideway("approve", "--flow", "contacts")[1], "approve says no number")
    case.agree()
    expect(profiles(case) == 270, f"{profiles(case)} profiles of 270")


def test_an_environment_restored_to_lower_versions_goes_on_in_a_new_epoch(case):
    """Rows that come with versions from before are newer all the same: an epoch says so."""
    wire = wired(case, 60)
    case.start("contacts")
    case.agree()
    for i in range(3):
        change_one(case, i, "before")
        case.agree()
    lowered = []

    @wire.rule
    def _(e):  # 900000 versions back, as after a restore
        if e.is_page("contacts") and e.status == 200:
            page = e.json()
            for row in page["value"]:
                if "versionnumber" in row:
                    row["versionnumber"] -= 900000
                    lowered.append(row["contactid"])
            e.answer(200, page)
    for i in range(3):
        change_one(case, 5 + i, "after the restore")
        case.agree()
    expect(lowered, "no version was lowered")
    values = [m["value"] for m in case.messages("crm.contact") if m["value"]]
    expect(len({v["epoch"] for v in values}) == 2, "there is no new epoch")
    newest = max(values, key=lambda v: (v["epoch"], v["version"]))
    expect(newest["version"] < 1000000, "the newest record has an old version")
    said = case.log(extractor(case)).count("the environment was restored")
    expect(said == 1, f"it was found restored {said} times")


# ---- tables without change tracking ---------------------------------------------------------------

def followed(case, how, deletes):
    """Changes arrive, restarts repeat nothing, deletes arrive where they can."""
    case.setup("contacts", contacts=80)
    case.configure({"flows": {"contacts": {"changes": how, "poll": "300ms",
                                           **({"overlap": "5m"} if how == "modifiedon" else {})}}})
    case.start("contacts")
    case.agree()
    for i in range(3):
        change_one(case, i, f"change {i}")
        case.dynamics.create("contacts", {"lastname": f"New {i}"})
        case.agree()
    extractor(case).kill()
    change_one(case, 7, "while away")
    case.start("contacts", "extract-dataverse")
    case.agree()
    polls = case.dynamics_box.count()
    case.wait(lambda: case.dynamics_box.count() > polls + 6, 30, "some polls without changes")
    case.each_version_once("crm.contact")
    expect("no change tracking" in case.log(extractor(case)), "what is lost is not said")
    snapshots = case.dynamics_box.count("contacts (snapshot)")
    expect(not snapshots, "change tracking was used")
    if deletes:
        case.dynamics.delete("contacts", case.dynamics.rows("contacts")[0]["contactid"])
        case.agree()


def test_a_table_is_followed_by_modifiedon(case):
    """Rows with a later modifiedon, with an overlap; what is repeated is not written again."""
    followed(case, "modifiedon", False)


def test_a_table_is_followed_by_versionnumber(case):
    """Rows with a higher versionnumber; what is repeated is not written again."""
    followed(case, "versionnumber", False)


def restored(case, how):
    """While the environment is away it goes back to a backup: rows get older, one was never made."""
    case.setup("contacts", contacts=60)
    case.configure({"flows": {"contacts": {"changes": how, "poll": "300ms"}}})
    case.start("contacts")
    case.agree()
    control = case.dynamics_box.control
    control.request("POST", "/_sandbox/backup")
    for i in range(3):
        change_one(case, i, "forgotten")
    case.dynamics.create("contacts", {"lastname": "Forgotten"})
    case.agree()
    case.dynamics_box.fault(method="GET", path="/contacts", status=503, count=2, headers={"Retry-After": "1"})
    control.request("POST", "/_sandbox/restore")
    case.wait(lambda: case.dynamics_box.count(status=503) == 2, 30, "the environment to be away")
    change_one(case, 5, "after the restore")
    case.agree(60)
    values = [m["value"] for m in case.messages("crm.contact") if m["value"]]
    expect(len({v["epoch"] for v in values}) == 2, "there is no new epoch")
    expect("restored" in case.log(extractor(case)), "the log does not say it")


def test_polling_by_modifiedon_notices_that_an_environment_was_restored(case):
    """What it has again is older than what was read: only the row with the highest version tells."""
    restored(case, "modifiedon")


def test_polling_by_versionnumber_notices_that_an_environment_was_restored(case):
    """Versions begin lower: nothing would be above the mark for a long time."""
    restored(case, "versionnumber")


def test_change_tracking_notices_that_an_environment_was_restored(case):
    """The delta token is of a later time than the environment."""
    restored(case, "tracking")


def test_full_reads_notice_that_an_environment_was_restored(case):
    """A row that went back to a lower version opens a new epoch."""
    restored(case, "full")


def test_a_table_is_followed_by_full_reads(case):
    """All rows at every poll; only what differs is written, and deletes are found."""
    followed(case, "full", True)


def test_an_nn_table_is_followed_by_full_reads(case):
    """Links between contacts and interests come and go: rows of the intersect table, by full read and
    comparison. Their metadata says that nothing else is to be had."""
    case.setup(contacts=20)
    folder = case.world.path("metadata-nn", "x")[:-2]
    flow = {"kind": "custom-entity", "table": "new_contact_interest", "resource": "cusLoyaltyCard",
            "key": "cardId", "poll": "300ms", "fields": [
                {"from": "contactid", "to": "contactId"}, {"from": "new_interestid", "to": "note"}]}
    with open(os.path.join(TOP, "deploy/tideway.yaml"), encoding="utf-8") as f:
        only = dict(yaml.safe_load(f), metadata=folder, name=case.name, flows={})

    def configure(how):
        only["flows"] = {"interests": dict(flow, **how)}
        case.config = [case.world.write(f"config/{case.name}.yaml", json.dumps(only))]
    configure({})
    case.tideway("metadata", "pull")
    code, _, err = case.tideway("check", check=False)
    expect(code == 100 and "no change tracking" in err, f"check: {code} {err}")
    configure({"changes": "full"})
    case.tideway("check")
    case.tideway("topics", "create", "--flow", "interests")
    case.start("interests", "extract-dataverse")
    d = case.dynamics
    contacts = [c["contactid"] for c in d.rows("contacts")]
    interest = d.create("new_interests", {"new_name": "chess"})

    def link(contact):
        d.request("POST", f"/contacts({contact})/new_contact_interest/$ref",
                  {"@odata.id": f"{d.base}/new_interests({interest})"})

    def same():
        last = {m["key"]: m["value"] for m in case.messages("crm.new_contact_interest")}
        topic = {k: (v["row"]["contactid"], v["row"]["new_interestid"])
                 for k, v in last.items() if v and v["op"] == "upsert"}
        table = {r["new_contact_interestid"]: (r["contactid"], r["new_interestid"])
                 for r in d.rows("new_contact_interestset")}
        return topic == table
    for contact in contacts[:8]:
        link(contact)
    case.wait(lambda: same() and len(d.rows("new_contact_interestset")) == 8, 20, "the links to arrive")
    for contact in contacts[:3]:
        d.request("DELETE", f"/contacts({contact})/new_contact_interest({interest})/$ref")
    link(contacts[9])
    code, _, err = case.tideway("replay", "--flow", "interests", "--from", "source", "--since",
                                "2026-01-01T00:00:00Z", check=False)
    expect(code == 100 and "no modifiedon" in err, f"replay since a time: {code} {err}")
    case.wait(same, 20, "links that go and come to arrive")
    expect(len(d.rows("new_contact_interestset")) == 6, "the links are not those that were made")
    case.each_version_once("crm.new_contact_interest")


def test_a_bad_row_is_a_dead_letter_once_whatever_way_changes_are_found(case, how="versionnumber"):
    """It comes again with every poll, until it changes: that it is bad was said already."""
    wire = wired(case, 30, small_pages(changes=how, poll="300ms"))
    bad = case.dynamics.rows("contacts")[4]["contactid"]

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.status == 200:
            page = e.json()
            for row in page["value"]:
                if row.get("contactid") == bad:
                    row["firstname"] = {"a": 1}
            e.answer(200, page)
    case.start("contacts", "extract-dataverse")
    letters = lambda: len(case.messages("rejected.contacts.extract-dataverse"))  # noqa: E731
    case.wait(lambda: letters() == 1, 20, "the dead letter")
    for title in ("1", "2"):
        case.dynamics.update("contacts", bad, {"jobtitle": title})
        case.wait(lambda t=title: letters() == 1 + int(t), 20, "a dead letter for the new version")
        polls = len(wire.pages("contacts"))
        case.wait(lambda n=polls: len(wire.pages("contacts")) > n + 6, 20, "some polls")
        expect(letters() == 1 + int(title), f"{letters()} dead letters after {title} changes")


def test_a_bad_row_is_a_dead_letter_once_where_all_rows_are_compared(case):
    """Every read meets it."""
    test_a_bad_row_is_a_dead_letter_once_whatever_way_changes_are_found(case, "full")


def test_a_bad_row_is_a_dead_letter_once_where_polls_overlap(case):
    """The overlap brings it again and again, and other rows, too: no poll says that something changed."""
    test_a_bad_row_is_a_dead_letter_once_whatever_way_changes_are_found(case, "modifiedon")
    said = case.log(extractor(case)).count("msg=changes")
    expect(said <= 4, f"{said} polls said that something changed")


def refused_pass(case, answer, times):
    """35 rows change, pages of 10, and the next links of the pass are no good."""
    wire = wired(case, 60, small_pages(changes="modifiedon", poll="300ms"))
    case.start("contacts")
    case.agree()
    bent = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and "skiptoken" in e.path and len(bent) < times:
            bent.append(e.path)
            answer(wire, e)
    for row in case.dynamics.rows("contacts")[:35]:
        case.dynamics.update("contacts", row["contactid"], {"jobtitle": "many"})
    case.agree(60)
    expect(len(bent) == times, "no link was bent")
    expect("the poll begins again" in case.log(extractor(case)), "the log does not say it")


def test_a_poll_whose_next_link_is_refused_begins_again(case):
    """Also a pass of polls may be interrupted for so long that its link is dead."""
    refused_pass(case, lambda wire, e: e.answer(
        400, {"error": {"code": "0x80040203", "message": "Invalid skip token."}}), 1)


def test_a_poll_whose_next_link_loops_begins_again(case):
    """After the third time the link is given up."""
    refused_pass(case, lambda wire, e: e.answer(200, dict(
        e.json(), **{"@odata.nextLink": f"{wire.url}{e.path}"})), 3)


def test_an_approval_waits_until_all_rows_are_read_once_more(case):
    """A read under way may have passed rows that were hidden then and are there now."""
    wire = wired(case, 400, small_pages(20))
    case.start("contacts")
    case.agree()
    narrow(case, 0.5)
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.wait(lambda: "deletes held" in progress(case), 30, "the guard to hold deletes back")
    case.dynamics_box.fault(path="*skiptoken*", delay_ms=700, count=1000)
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    asked = len(wire.pages("contacts"))
    case.wait(lambda: sum("skiptoken" in e.path for e in wire.pages("contacts")[asked:]) > 3, 30,
              "the read to get on")
    narrow(case, 1)
    case.tideway("approve", "--flow", "contacts")
    case.dynamics_box.no_faults()
    case.wait(lambda: "held" not in progress(case) and progress(case).startswith("following"), 60,
              "the approved read")
    case.agree()
    deletes = [m for m in case.messages("crm.contact") if m["value"] and m["value"]["op"] == "delete"]
    expect(not deletes, f"{len(deletes)} rows that are there were deleted")


def test_retry_after_is_a_floor_at_the_begin_of_a_term_too(case):
    """The leader is told to wait before it has read anything: it waits, and keeps the lead."""
    wire = wired(case, 20)
    told, later = [], []

    @wire.rule
    def _(e):
        if "WhoAmI" in e.path or "EntityDefinitions" in e.path:
            if len(told) < 2 and (not told or e.at > told[-1] + 1):
                told.append(e.at)
                e.answer(429, b"", **{"Retry-After": "3"})
        if told and e.at > told[-1] and "token" not in e.path:
            later.append(e.at - told[-1])
    stage = case.start("contacts", "extract-dataverse")
    case.start("contacts", "transform-contact", "load-campaign")
    case.agree(60)
    expect(len(told) == 2 and stage.running(), f"told {len(told)} times; running {stage.running()}")
    expect(min(later) >= 2.9, f"it asked {min(later):.1f} s after it was told to wait 3")


def many_change(case, wire, n):
    """n rows change in one pass of the delta."""
    release = held_back(wire)
    ids = [r["contactid"] for r in case.dynamics.rows("contacts")][:n]
    case.dynamics.update_many("contacts", "contact", "contactid", {i: {"jobtitle": "n"} for i in ids})
    return release


def test_a_pass_of_changes_that_begins_again_with_smaller_pages_writes_nothing_twice(case):
    """Its first pages were written before the third was too heavy."""
    wire = wired(case, 400, small_pages(100))
    case.start("contacts")
    case.agree()
    release, heavy = many_change(case, wire, 300), []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and (e.page_size() or 0) > 60 \
                and "pagenumber%3D%223" in e.path:
            heavy.append(e.path)
            e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
    release()
    case.agree(60)
    expect(heavy, "no page was heavy")
    case.each_version_once("crm.contact")


def test_a_pass_of_changes_needs_a_delta_link_also_when_its_last_page_is_empty(case):
    """Without one the same changes would come for ever."""
    wire = wired(case, 100, small_pages(20))
    case.start("contacts")
    case.agree()
    release, cut = many_change(case, wire, 30), []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and e.status == 200 and len(cut) < 2:
            page = e.json()
            if "tag=1" in e.path:
                cut.append(e.path)
                page.pop("@odata.deltaLink", None)
                e.answer(200, dict(page, value=[]))
            elif page["value"] and page.pop("@odata.deltaLink", None):
                e.answer(200, dict(page, **{"@odata.nextLink": f"{wire.url}{e.path}&tag=1"}))
    release()
    case.wait(lambda: len(cut) == 2, 20, "an empty last page")
    case.agree()
    case.each_version_once("crm.contact")
    log = case.log(extractor(case))
    expect("no delta link" in log and "restored" not in log, "the log says something else")


def test_an_empty_json_is_no_change(case):
    """As the documentation words it."""
    wire = wired(case, 30)
    case.start("contacts")
    case.agree()
    empty = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and e.status == 200 and not e.json()["value"]:
            empty.append(e.path)
            e.answer(200, {})
    case.wait(lambda: len(empty) > 3, 20, "some polls")
    change_one(case)
    case.agree()
    expect("msg=waiting" not in case.log(extractor(case)), "an empty JSON is taken for trouble")


def test_change_tracking_takes_over_in_the_middle_of_a_read_since(case):
    """"changes" is another after a restart: what goes on is not enough to follow changes."""
    wired(case, 200, small_pages(10, changes="modifiedon", poll="300ms"))
    case.start("contacts")
    case.agree()
    case.dynamics_box.fault(path="*skiptoken*", delay_ms=400, count=60)
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since", "2020-01-01T00:00:00Z")
    case.wait(lambda: "since a time" in progress(case) and " 0 pages" not in progress(case), 20,
              "the read since a time")
    extractor(case).stop()
    expect("since a time" in progress(case), "the read was over before")
    case.configure(small_pages(10))
    case.dynamics_box.no_faults()
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: progress(case).startswith("following"), 40, "the reads to end")
    change_one(case, 5, "after")
    case.agree()


# ---- limits ----------------------------------------------------------------------------------------

LIMITS = [
    ("429 with seconds", dict(status=429, headers={"Retry-After": "1"}, body='{"error":{"code":'
     '"0x80072322","message":"Number of requests exceeded the limit of 6000."}}')),
    ("429 by execution time", dict(status=429, headers={"Retry-After": "1"}, body='{"error":{"code":'
     '"0x80072321","message":"Combined execution time"}}')),
    ("429 by concurrency", dict(status=429, headers={"Retry-After": "1"}, body='{"error":{"code":'
     '"0x80072326","message":"Number of concurrent requests"}}')),
    ("429 without a body", dict(status=429, empty=True)),
    ("401 in mid-run", dict(status=401, empty=True)),
    ("500", dict(status=500, body="<html>oops</html>", headers={"Content-Type": "text/html"})),
    ("502", dict(status=502, empty=True)),
    ("503 with a date", dict(status=503, empty=True)),
    ("504", dict(status=504, empty=True)),
    ("a torn body", dict(torn=True)),
    ("an empty 200", dict(status=200, empty=True)),
    ("a 200 that is not JSON", dict(status=200, body="hello", headers={"Content-Type": "text/plain"})),
    ("JSON under another name", dict(status=200, body='{"value":[]}',
                                     headers={"Content-Type": "text/html"})),
    ("JSON without value", dict(status=200, body='{"x":1}', headers={"Content-Type": "application/json"})),
    ("a closed connection", dict(close=True)),
]


def test_whatever_dataverse_answers_the_flow_goes_on(case):
    """Each bad answer to a delta is waited out: nothing is lost, nobody ends, no dead letter."""
    import email.utils
    import time
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    for i, (name, fault) in enumerate(LIMITS):
        if "date" in name:
            soon = email.utils.formatdate(time.time() + 2, usegmt=True)
            fault = dict(fault, headers={"Retry-After": soon})
        before = sum(1 for line in case.log(extractor(case)).splitlines() if "msg=waiting" in line)
        case.dynamics_box.fault(path="*deltatoken*", count=2, **fault)
        change_one(case, i, name)
        case.agree(20)
        after = sum(1 for line in case.log(extractor(case)).splitlines() if "msg=waiting" in line)
        expect(after > before or fault.get("status") == 401, f"{name}: nobody waited")
    expect(not case.messages("rejected.contacts.extract-dataverse"), "there are dead letters")
    expect(case.log(extractor(case)).count("full read begins") == 1, "an answer cost a full read")
    case.each_version_once("crm.contact")


def test_the_affinity_cookie_is_not_kept(case):
    """A cookie would pin all requests to one server and its limits."""
    wire = wired(case, 20)

    @wire.rule
    def _(e):
        e.answer_headers.append(("Set-Cookie", "ARRAffinity=abc; Path=/; HttpOnly"))
    case.start("contacts")
    case.agree()
    change_one(case)
    case.agree()
    expect(len(wire.seen) > 5, "nothing went over the wire")
    expect(not any("Cookie" in e.headers for e in wire.seen), "a cookie came back")


def test_polls_are_quick_after_changes_and_seldom_when_quiet(case):
    """The interval grows while nothing changes and shrinks at once when something does."""
    wire = wired(case, 20, {"flows": {"contacts": {"poll": {"min": "200ms", "max": "1600ms"}}}})
    case.start("contacts")
    case.agree()

    def deltas():
        return [e.at for e in wire.pages("contacts") if e.is_delta()]

    def gaps():
        at = deltas()
        return [b - a for a, b in zip(at, at[1:])]
    case.wait(lambda: gaps() and gaps()[-1] > 1.4, 30, "the interval to grow")
    grown = gaps()
    expect(any(g < 0.5 for g in grown[:3]), f"it was slow from the start: {grown}")
    change_one(case)
    count = len(deltas())
    case.agree()
    case.wait(lambda: len(deltas()) > count + 2, 20, "the next polls")
    at = deltas()
    expect(min(b - a for a, b in zip(at[count - 1:], at[count:])) < 0.6, f"it stayed slow: {gaps()}")


def test_a_changed_column_stops_the_flow_by_name(case):
    """Metadata changed while it runs: a mapped column of another type is exit 100, any other change
    is not our business."""
    wire = wired(case, 20)
    version, changed, busy = ["1000"], [], []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.status == 200:
            e.answer(200, dict(e.json(), **{
                "@Microsoft.Dynamics.CRM.globalmetadataversion": version[0]}))
        if "EntityDefinitions(LogicalName='contact')?" in e.path and changed:
            if changed[0] == "firstname" and not busy:  # it is looked at again
                busy.append(e.path)
                e.answer(503, {"error": {"code": "", "message": "busy"}})
                return
            table = e.json()
            for a in table["Attributes"]:
                if a["LogicalName"] == changed[0]:
                    a["AttributeType"] = "Integer"
            e.answer(200, table)
    case.start("contacts")
    case.agree()
    stage = extractor(case)
    changed.append("department")  # not mapped
    version[0] = "1001"
    asked = len(wire.seen)
    case.wait(lambda: any("EntityDefinitions" in e.path for e in wire.seen[asked:]), 20,
              "the metadata to be looked at")
    change_one(case)
    case.agree()
    standby = case.start("contacts", "extract-dataverse", name="standby")
    case.wait(lambda: "msg=started" in case.log(standby), 20, "another to stand by")
    changed[0] = "firstname"
    version[0] = "1002"
    for one in (stage, standby):  # which leads only then, and has compared before
        wait_until(lambda s=one: not s.running(), 30, "the extractor to end")
        expect(one.process.returncode == 100, f"it ended with {one.process.returncode}")
        expect("firstname" in case.log(one), "the column is not named")
        case.world_env.stages.remove(one)


# ---- leadership and replay -----------------------------------------------------------------------

def test_of_three_extractors_one_extracts(case):
    """Three instances: one leads; when it is killed the next takes over within the session time-out,
    and nobody fences anybody back and forth."""
    import time
    from restarts import Writer, proven, written
    case.setup("contacts", contacts=150)
    case.start("contacts")
    case.agree()
    for name in ("second", "third"):
        case.start("contacts", "extract-dataverse", name=name)
    writer = Writer(case)
    writer.start()
    writer.more(5)

    def leaders():
        return [s for s in case.stages if s.program == "extract-dataverse" and s.running()
                and "msg=leading" in case.log(s)]
    for _ in range(2):
        expect(len(leaders()) == 1, f"{len(leaders())} lead")
        dead = leaders()[0]
        dead.kill()
        began = time.monotonic()
        case.wait(leaders, 20, "the next to lead")
        took = time.monotonic() - began
        expect(took < 2 + 3, f"the take-over took {took:.1f} s with a session time-out of 2 s")
        before = written(case)
        case.wait(lambda b=before: written(case) > b + 100, 30, "the flow to go on")
    writer.finish()
    case.agree()
    proven(case)
    total = sum(case.log(s).count("msg=leading")
                for s in case.stages if s.program == "extract-dataverse")
    expect(total == 3, f"the lead was taken {total} times for 3 leaders")


def test_replay_from_the_source_finds_what_the_topic_missed(case):
    """All rows are read again while changes go on; nothing is stopped, what is gone is deleted."""
    wire = wired(case, 200, small_pages())
    case.start("contacts")
    case.agree()
    hidden = case.dynamics.rows("contacts")[5]["contactid"]

    @wire.rule
    def _(e):  # a deletion that never came
        if e.is_page("contacts") and e.is_delta() and e.status == 200:
            page = e.json()
            e.answer(200, dict(page, value=[r for r in page["value"] if r.get("id") != hidden]))
    case.dynamics.delete("contacts", hidden)
    case.drained("contacts", "load-campaign")
    case.dynamics_box.fault(path="*skiptoken*", delay_ms=200, count=100)
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.wait(lambda: "full read" in progress(case), 20, "the full read to begin")
    change_one(case, 9, "meanwhile")
    title = "meanwhile"
    case.wait(lambda: any(p["cusJobTitle"] == title for p in case.campaign.rows("profile")), 10,
              "the change to arrive")
    expect("full read" in progress(case), "the read was over before the change arrived")
    case.dynamics_box.no_faults()
    case.agree(40)
    case.wait(lambda: progress(case).startswith("following"), 20, "the full read to end")
    case.each_version_once("crm.contact")


def test_replay_from_the_source_since_a_time_reads_only_those_rows(case):
    """Rows modified since a time come again; nobody is found gone by it."""
    import datetime
    case.setup("contacts", contacts=100)
    case.start("contacts")
    case.agree()
    before = len(case.messages("crm.contact"))
    future = (datetime.datetime.utcnow() + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since", future)
    case.wait(lambda: "full read complete" in case.log(extractor(case)).split("asked by an")[-1],
              20, "the read to end")
    expect(len(case.messages("crm.contact")) == before, "rows that were not modified came again")
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since",
                 "2020-01-01T00:00:00Z")
    case.wait(lambda: len(case.messages("crm.contact")) >= before + 100, 20, "the rows to come again")
    expect(not any(m["value"] and m["value"]["op"] == "delete" for m in case.messages("crm.contact")),
           "somebody was found gone")


def test_a_long_first_read_says_how_far_it_is(case):
    """Rows, pages, rate and per cent, in the log and in status."""
    wired(case, 300, small_pages())
    case.dynamics_box.fault(path="*contacts*", delay_ms=250, count=1000)
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: "% of about 300" in progress(case) and "rows/s" in progress(case), 20,
              "status to say it")
    case.wait(lambda: re.search(r" percent=[1-9]\d* rows_per_s=[1-9]", case.log(extractor(case))), 20,
              "the log to say it")
    case.dynamics_box.no_faults()
    case.wait(lambda: progress(case).startswith("following"), 20, "the read to end")


# ---- full reads that are disturbed -------------------------------------------------------------------

def test_a_read_since_a_time_finds_nobody_gone_also_where_all_rows_are_compared(case):
    """With full reads the rows of the topic are known all the time: a read of a few of them must not
    take the others for gone."""
    case.setup("contacts", contacts=60)
    case.configure({"flows": {"contacts": {"changes": "full", "poll": "1h"}}})
    case.start("contacts")
    case.agree()
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since", "2100-01-01T00:00:00Z")
    case.wait(lambda: case.log(extractor(case)).count("full read complete") >= 2, 20, "the read to end")
    change_one(case, 1, "since")
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since", "2020-01-01T00:00:00Z")
    case.agree()
    deletes = [m for m in case.messages("crm.contact") if m["value"] and m["value"]["op"] == "delete"]
    expect(not deletes, f"{len(deletes)} rows were taken for gone")


def test_a_row_that_is_deleted_while_a_full_read_begins_again_is_found_gone(case):
    """Who was met by the first attempt may be gone before the second: he is met anew, or deleted."""
    wire = wired(case, 200, small_pages(60))
    case.start("contacts")
    case.agree()
    first, heavy = [], []

    @wire.rule
    def _(e):  # the third page of the full read is too heavy, until the size is halved
        if e.is_page("contacts") and not e.is_delta() and "$skiptoken" in e.path and \
                (e.page_size() or 0) == 60:
            first.append(e.path)
            if len(first) >= 2:
                if not heavy:
                    victim = sorted(r["contactid"] for r in case.dynamics.rows("contacts"))[0]
                    case.dynamics.delete("contacts", victim)
                heavy.append(e.path)
                e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.wait(lambda: len(heavy) >= 2, 30, "the read to be too heavy")
    case.agree(40)
    expect("pages are too heavy" in case.log(extractor(case)), "the read did not begin again")


def test_two_wishes_of_an_operator_are_both_carried_out(case):
    """A second request that comes while the first is begun is not forgotten with it."""
    wired(case, 100, small_pages(20))
    case.start("contacts")
    case.agree()
    case.dynamics_box.fault(path="*contacts*", delay_ms=150, count=60)
    for _ in range(2):
        case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.wait(lambda: case.log(extractor(case)).count("asked by an operator") == 2, 40,
              "both to be begun")
    case.dynamics_box.no_faults()
    case.wait(lambda: progress(case).startswith("following"), 30, "both to end")
    case.agree()


def test_a_body_over_the_cap_makes_pages_smaller(case):
    """An answer larger than 128 MiB is not read to its end; the next pages have fewer rows."""
    wire = wired(case, 150, small_pages(150))

    @wire.rule
    def _(e):
        if e.is_page("contacts") and (e.page_size() or 0) > 100:
            e.answer(200, b'{"value":[' + b" " * (129 << 20) + b"]}",
                     **{"Content-Type": "application/json"})
    case.start("contacts")
    case.agree(60)
    expect("pages are too heavy" in case.log(extractor(case)), "the cap was not met")


def test_a_table_that_is_refused_or_gone_ends_with_100(case):
    """403 and a table that does not exist are no matter of waiting."""
    from failures import ends
    wire = wired(case, 5)
    answer = [403, {"error": {"code": "0x80040220", "message": "is missing prvReadContact privilege"}}]

    @wire.rule
    def _(e):
        if e.is_page("contacts"):
            e.answer(*answer)
    ends(case, "extract-dataverse", "contacts", 100, "403", "privileges")
    answer[:] = [404, {"error": {"code": "0x80060888",
                                 "message": "Resource not found for the segment 'contacts'."}}]
    ends(case, "extract-dataverse", "contacts", 100, "404")

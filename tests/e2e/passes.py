"""passes - what holds across the pages of a pass, from one pass to the next, and across restarts of
an extractor: the parts of a promise that one good answer cannot show."""
import json
import os
import re
import time

import reader
import yaml
from case import expect
from extraction import change_one, expire, extractor, held_back, profiles, progress, rows_in_topic, \
    small_pages, wired
from world import TOP


def retitle(case, rows, title):
    case.dynamics.update_many("contacts", "contact", "contactid",
                              {r["contactid"]: {"jobtitle": title} for r in rows})


def arrives(case, title):
    case.wait(lambda: any(p["cusJobTitle"] == title for p in case.campaign.rows("profile")), 20,
              f"{title!r} to arrive")


def deletes(case):
    values = [m["value"] for m in case.messages("crm.contact") if m["value"]]
    return [v["id"] for v in values if v["op"] == "delete"]


def said(case, text, times=1, deadline=30):
    case.wait(lambda: case.log(extractor(case)).count(text) >= times, deadline,
              f"the extractor to say {text!r} {times} times")


def again(case):
    """The extractor ends in peace and starts once more."""
    extractor(case).stop()
    case.start("contacts", "extract-dataverse")


# ---- changes in several pages ----------------------------------------------------------------------

def claimed_gone(case, between):
    """A pass of changes whose last page calls a row of its first page deleted; between(wire) comes
    after the first page is written and before the second is answered."""
    wire = wired(case, 60, small_pages())
    case.start("contacts")
    case.agree()
    release = held_back(wire)
    retitle(case, case.dynamics.rows("contacts")[:25], "again")
    first, links, waiting, claimed, open_ = [], set(), [], [], []

    @wire.rule
    def _(e):
        if not (e.is_page("contacts") and e.is_delta() and e.status == 200):
            return
        page = e.json()
        if e.path in links and not open_:
            waiting.append(e.path)
            e.answer(503, {"error": {"code": "", "message": "not yet"}})
        elif "@odata.nextLink" in page:
            first.extend(r["contactid"] for r in page["value"][:1])
            links.add(page["@odata.nextLink"][len(wire.url):])
        elif first and not claimed:
            claimed.append(first[0])
            e.answer(200, dict(page, value=page["value"] + [{
                "@odata.context": "#contacts/$deletedEntity", "id": first[0], "reason": "deleted"}]))
    release()
    case.wait(lambda: waiting, 20, "the second page to be asked for")
    between()
    open_.append(True)
    case.wait(lambda: claimed, 20, "the last page")
    change_one(case, 50, "behind it")
    arrives(case, "behind it")
    expect(not deletes(case), "a row that is there was deleted")
    case.agree()


def test_a_row_of_an_earlier_page_outlives_its_deletion_on_a_later_one(case):
    """Deletes come last, also of a row that was created again since: the row itself is asked for."""
    claimed_gone(case, lambda: None)


def test_killed_between_two_pages_of_changes_a_row_outlives_its_deletion(case):
    """After a restart the rows of the pages before are not remembered: each deletion is asked about."""
    def kill():
        extractor(case).kill()
        case.start("contacts", "extract-dataverse")
    claimed_gone(case, kill)


def test_changes_whose_next_link_repeats_are_found_by_a_full_read(case):
    """A next link that leads to itself is tried again, and then given up with its token."""
    wire = wired(case, 60, small_pages())
    case.start("contacts")
    case.agree()
    release = held_back(wire)
    retitle(case, case.dynamics.rows("contacts")[:25], "again")
    looped = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and e.status == 200 and len(looped) < 4:
            page = e.json()
            if "@odata.nextLink" in page:
                looped.append(e.path)
                e.answer(200, dict(page, **{"@odata.nextLink": f"{wire.url}{e.path}"}))
    release()
    case.agree(60)
    expect(len(looped) == 3, f"it was tried {len(looped)} times")
    expect("changes cannot be read on" in case.log(extractor(case)), "the log does not say it")
    case.each_version_once("crm.contact")


def test_changes_without_a_delta_link_are_asked_for_again(case):
    """Rows and no link to go on with: the answer is not whole."""
    wire = wired(case, 30)
    case.start("contacts")
    case.agree()
    cut = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and e.status == 200 and len(cut) < 2:
            page = e.json()
            if page["value"] and page.pop("@odata.deltaLink", None):
                cut.append(e.path)
                e.answer(200, page)
    change_one(case)
    case.agree()
    expect(len(cut) == 2, f"{len(cut)} links were cut")
    expect("has no delta link" in case.log(extractor(case)), "the log does not say it")
    case.each_version_once("crm.contact")


def test_changes_that_are_too_heavy_come_in_smaller_pages_and_then_in_larger_ones(case):
    """The pages of changes are halved as those of a full read are, and grow when they may."""
    wire = wired(case, 160, small_pages(160))
    case.start("contacts")
    case.agree()
    refusing, refused = [True], []

    def sizes():
        return [e.page_size() for e in wire.pages("contacts") if e.is_delta() and e.status == 200]

    @wire.rule
    def _(e):
        if refusing and e.is_page("contacts") and e.is_delta() and e.page_size() > 60:
            refused.append(e.page_size())
            e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
    retitle(case, case.dynamics.rows("contacts")[:120], "heavy")
    case.agree(60)
    expect({160, 80} <= set(refused), f"refused sizes: {set(refused)}")
    expect(50 in sizes(), f"sizes that worked: {set(sizes())}")
    refusing.clear()
    case.wait(lambda: sizes()[-1] == 160, 20, "pages to grow again")
    case.each_version_once("crm.contact")


def test_pages_are_never_larger_than_configured(case):
    """Also when the configuration has become smaller since, and when they are too heavy already."""
    wire = wired(case, 60, small_pages(40))
    case.start("contacts")
    case.agree()
    extractor(case).stop()
    case.configure(small_pages(10))
    asked, refused = len(wire.seen), []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and len(refused) < 4:
            refused.append(e.path)
            e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
    case.start("contacts", "extract-dataverse")
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    said(case, "full read complete", 2)
    sizes = {e.page_size() for e in wire.seen[asked:] if e.is_page("contacts")}
    expect(sizes == {10}, f"sizes: {sizes}")
    expect(len(refused) == 4, "no page was too heavy")


# ---- full reads ------------------------------------------------------------------------------------

def test_a_next_link_that_is_not_taken_begins_the_full_read_again(case):
    """A link of a page may be dead while the table is well."""
    wire = wired(case, 60, small_pages())
    refused = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and "skiptoken" in e.path and len(refused) < 4:
            refused.append(e.path)
            e.answer(400, {"error": {"code": "0x80040203", "message": "Invalid skip token."}})
    case.start("contacts")
    case.agree(60)
    expect("the full read begins again" in case.log(extractor(case)), "the log does not say it")


def test_a_row_that_cannot_be_read_is_not_taken_for_gone(case):
    """A full read meets a row that makes no record: a dead letter, and no deletion of what was there
    before. Nor when the read is killed after it: then the row is asked for."""
    wire = wired(case, 120, small_pages())
    case.start("contacts")
    case.agree()
    victim, spoilt = case.dynamics.rows("contacts")[0]["contactid"], []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and e.status == 200 and "filter" not in e.path:
            page = e.json()
            for row in page["value"]:
                if row["contactid"] == victim:
                    row["birthdate"] = "never"
                    spoilt.append(e.path)
            e.answer(200, page)
    expire(case, wire, deleted=0)
    said(case, "full read complete", 2)
    expect(spoilt and not deletes(case), "a row that is there was deleted")
    expect([m["key"] for m in case.messages("rejected.contacts.extract-dataverse")] == [victim],
           "there is not one dead letter")
    case.dynamics_box.fault(path="*contacts*", delay_ms=60, count=2000)
    spoilt.clear()
    expire(case, wire, deleted=0)
    case.wait(lambda: spoilt, 20, "the row to be read")
    read = rows_in_topic(case)
    case.wait(lambda: rows_in_topic(case) > read + 20, 30, "some pages")
    extractor(case).kill()
    case.start("contacts", "extract-dataverse")
    case.dynamics_box.no_faults()
    said(case, "full read complete", 3)
    expect(not deletes(case), "a row that is there was deleted after a restart")
    expect(len(spoilt) == 1, "the page was read again, which shows nothing")


def test_other_columns_in_the_mapping_are_read_for_all_rows(case):
    """Records of the old columns do not fill the new ones: all rows are read once more."""
    case.setup("contacts", contacts=30, overlay={"flows": {"contacts": {"fields": [
        {"from": "lastname", "to": "lastName"}]}}})
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: rows_in_topic(case) == 30, 20, "the rows")
    extractor(case).stop()
    case.configure()
    case.start("contacts", "extract-dataverse")
    titles = {r["contactid"]: r["jobtitle"] for r in case.dynamics.rows("contacts")}

    def filled():
        last = {m["key"]: m["value"] for m in case.messages("crm.contact")}
        return {k: v["row"].get("jobtitle") for k, v in last.items()} == titles
    case.wait(filled, 20, "the new columns of all rows")
    expect(any(titles.values()), "no row has a value in the new column")


# ---- the guard -------------------------------------------------------------------------------------

def lost(case, n):
    """n rows are deleted while nobody looks, and the token expires."""
    extractor(case).stop()
    for row in case.dynamics.rows("contacts")[:n]:
        case.dynamics.delete("contacts", row["contactid"])
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.start("contacts", "extract-dataverse")


def test_what_is_held_back_outlives_a_restart_and_an_approval_is_for_one_read(case):
    """The number that is held is in the checkpoint; what was approved once says nothing about the
    next time."""
    case.setup("contacts", contacts=120, overlay={"flows": {"contacts": {"max_deletes": 10}}})
    case.start("contacts")
    case.agree()
    lost(case, 30)
    case.wait(lambda: "30 deletes held" in progress(case), 30, "the guard to hold deletes back")
    again(case)
    change_one(case, 5, "held")
    arrives(case, "held")
    expect("30 deletes held" in progress(case), f"after a restart: {progress(case)}")
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since", "2100-01-01T00:00:00Z")
    said(case, "full read complete", 3)
    expect("30 deletes held" in progress(case), f"after a read of some rows: {progress(case)}")
    expect("30 deletes" in case.tideway("approve", "--flow", "contacts")[1], "approve says no number")
    case.agree()
    lost(case, 20)
    case.wait(lambda: "20 deletes held" in progress(case), 30, "the guard to hold deletes back again")
    expect(profiles(case) == 90, f"{profiles(case)} profiles of 90")


def test_more_than_a_hundred_rows_may_be_gone_when_the_share_allows_it(case):
    """max_deletes as a share: below it nobody is asked, above it everybody is."""
    case.setup("contacts", contacts=300)
    case.start("contacts")
    case.agree()
    lost(case, 120)
    case.wait(lambda: "120 deletes held" in progress(case), 30, "the guard to hold deletes back")
    extractor(case).stop()
    case.configure({"flows": {"contacts": {"max_deletes": "50%"}}})
    case.start("contacts", "extract-dataverse")
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.agree()
    expect(profiles(case) == 180, f"{profiles(case)} profiles of 180")


# ---- tables without change tracking ----------------------------------------------------------------

def seen_late(case, how, polls, **more):
    """A row that changed before another one is visible only some polls after it."""
    wire = wired(case, 30, {"flows": {"contacts": dict({"changes": how, "poll": "300ms"}, **more)}})
    case.start("contacts")
    case.agree()
    late, other = [r["contactid"] for r in case.dynamics.rows("contacts")[:2]]
    polled = []

    @wire.rule
    def _(e):
        if not e.is_page("contacts") or e.status != 200 or len(polled) >= polls:
            return
        page = e.json()
        if polled or any(r["contactid"] == other and r["jobtitle"] == "other" for r in page["value"]):
            polled.append(e.path)
        e.answer(200, dict(page, value=[r for r in page["value"] if r["contactid"] != late]))
    case.dynamics.update("contacts", late, {"jobtitle": "late"})
    case.dynamics.update("contacts", other, {"jobtitle": "other"})
    case.agree()
    expect(len(polled) == polls, f"the row was hidden in {len(polled)} polls")
    case.each_version_once("crm.contact")


def test_by_modifiedon_a_row_that_is_visible_late_is_found_by_the_overlap(case):
    """Clocks differ, and a write may be visible later than its time says."""
    seen_late(case, "modifiedon", 9, overlap="5m")


def test_by_versionnumber_a_row_that_is_visible_a_poll_late_is_found(case):
    """A transaction that took longer than another one has a lower version and is visible after it."""
    seen_late(case, "versionnumber", 1)


def test_more_changes_than_a_page_holds_are_polled_in_several(case):
    """A pass by modifiedon follows the next links, also when it is killed between them."""
    wire = wired(case, 60, small_pages(changes="modifiedon", poll="300ms", overlap="5m"))
    case.start("contacts")
    case.agree()
    pages, waiting = len(wire.pages("contacts")), []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and "skiptoken" in e.path and not waiting:
            waiting.append(e.path)
            e.answer(503, {"error": {"code": "", "message": "not yet"}})
    retitle(case, case.dynamics.rows("contacts")[:35], "many")
    case.wait(lambda: waiting, 20, "the second page to be asked for")
    extractor(case).kill()
    case.start("contacts", "extract-dataverse")
    case.agree()
    expect(len(wire.pages("contacts")) > pages + 4, "there were no pages")
    case.each_version_once("crm.contact")


def test_what_changes_while_a_pass_runs_is_in_the_next_one(case):
    """A pass asks for what changed since the last one began, not since it ended."""
    wire = wired(case, 60, small_pages(changes="modifiedon", poll="300ms", overlap="1s"))
    case.start("contacts")
    case.agree()
    dynamics, first, slow = reader.Dynamics(case.env), [], []

    @wire.rule
    def _(e):
        if not e.is_page("contacts") or e.status != 200:
            return
        if "skiptoken" not in e.path and "@odata.nextLink" in e.json():
            first.extend(r["contactid"] for r in e.json()["value"][:1])
        elif first and (not slow or e.at - slow[0] < 3):
            if not slow:
                dynamics.update("contacts", first[0], {"jobtitle": "meanwhile"})
            slow.append(e.at)
            e.answer(503, {"error": {"code": "", "message": "not yet"}})
    retitle(case, case.dynamics.rows("contacts")[:35], "many")
    case.wait(lambda: slow, 20, "the second page to be asked for")
    case.agree()
    arrives(case, "meanwhile")
    case.each_version_once("crm.contact")


def test_by_full_reads_a_row_that_comes_back_with_its_old_version_lives(case):
    """It was out of sight, was taken for gone, and is seen again as it was: that comes after its
    deletion."""
    wire = wired(case, 30, {"flows": {"contacts": {"changes": "full", "poll": "300ms"}}})
    case.start("contacts")
    case.agree()
    victim, hidden = case.dynamics.rows("contacts")[3]["contactid"], [True]

    @wire.rule
    def _(e):
        if hidden and e.is_page("contacts") and e.status == 200:
            page = e.json()
            e.answer(200, dict(page, value=[r for r in page["value"] if r["contactid"] != victim]))
    case.wait(lambda: deletes(case) == [victim], 20, "the row to be taken for gone")
    case.drained("contacts", "load-campaign")
    hidden.clear()
    case.agree()


def test_by_full_reads_an_environment_that_was_restored_goes_on_in_a_new_epoch(case):
    """Rows that are back at lower versions come after what was written of them."""
    case.setup("contacts", contacts=30,
               overlay={"flows": {"contacts": {"changes": "full", "poll": "300ms"}}})
    case.start("contacts")
    case.agree()
    case.dynamics_box.control.request("POST", "/_sandbox/backup")
    retitle(case, case.dynamics.rows("contacts")[:3], "forgotten")
    case.agree()
    case.dynamics_box.control.request("POST", "/_sandbox/restore")
    case.agree()
    expect(len({m["value"]["epoch"] for m in case.messages("crm.contact") if m["value"]}) == 2,
           "there are not two epochs")


def test_back_at_change_tracking_what_polls_did_not_see_is_found(case):
    """`changes` was modifiedon for a while, which sees no deletes: all rows are read once more."""
    case.setup("contacts", contacts=40)
    case.start("contacts")
    case.agree()
    extractor(case).stop()
    case.configure({"flows": {"contacts": {"changes": "modifiedon", "overlap": "5m"}}})
    case.start("contacts", "extract-dataverse")
    change_one(case, 1, "polled")
    arrives(case, "polled")
    case.dynamics.delete("contacts", case.dynamics.rows("contacts")[9]["contactid"])
    change_one(case, 2, "polled too")
    arrives(case, "polled too")
    expect(not deletes(case), "a poll saw a deletion")
    extractor(case).stop()
    case.configure()
    case.start("contacts", "extract-dataverse")
    case.agree()


def test_by_versionnumber_a_row_that_was_in_flight_when_all_were_read_is_found(case):
    """It has a lower version than what was visible, and is visible only after its page was read."""
    wire = wired(case, 60, small_pages(20, changes="versionnumber", poll="300ms"))
    rows = sorted(case.dynamics.rows("contacts"), key=lambda r: r["contactid"])
    victim, hidden = rows[0]["contactid"], []
    case.dynamics.update("contacts", victim, {"jobtitle": "in flight"})
    case.dynamics.update("contacts", rows[30]["contactid"], {"jobtitle": "later"})

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.status == 200 and e.first() and "filter" not in e.path \
                and not hidden:
            hidden.append(victim)
            page = e.json()
            e.answer(200, dict(page, value=[r for r in page["value"] if r["contactid"] != victim]))
    case.start("contacts")
    case.agree()
    expect(hidden, "the row was not hidden")
    case.each_version_once("crm.contact")


def test_a_full_read_that_began_again_and_was_killed_holds_nothing_back(case):
    """The rows of the page before it began again are written in the new epoch, too."""
    wire = wired(case, 400, small_pages(120, max_deletes=50))
    case.start("contacts")
    case.agree()

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and not e.first() and (e.page_size() or 0) > 100:
            e.answer(500, {"error": {"code": "0x80044151", "message": "SQL timeout expired."}})
    case.dynamics_box.fault(path="*contacts?*", delay_ms=400, count=1000)
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.wait(lambda: "too heavy" in case.log(extractor(case)), 30, "heavy pages")
    case.wait(lambda: re.search(" [345] pages", progress(case)), 30, "some pages of the second attempt")
    extractor(case).kill()
    case.dynamics_box.no_faults()
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: progress(case).startswith("following"), 40, "the end of the read")
    expect("held" not in progress(case), progress(case))
    case.agree()


def test_tokens_that_expire_at_once_do_not_lead_from_one_full_read_to_the_next(case):
    """An organization that keeps no change tracking: reads wait, longer each time, and say why."""
    wire = wired(case, 50)
    case.start("contacts")
    case.agree()

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta():
            e.answer(400, {"error": {"code": "0x80044352", "message": "Version stamp has expired."}})
    case.wait(lambda: "expirechangetrackingindays" in case.log(extractor(case)), 30, "the reason")
    asked = len(wire.seen)
    case.wait(lambda: "full read to reconcile" in progress(case), 20, "the read that waits")
    reads = [e for e in wire.pages("contacts") if not e.is_delta()]
    expect(len(reads) == 2, f"{len(reads)} full reads")
    expect(len(wire.seen) - asked < 5, "it goes on asking")


def test_a_strange_answer_does_not_cost_a_full_read(case):
    """A gateway's page for one request of a good token, and a link to another host."""
    wire = wired(case, 60)
    case.start("contacts")
    case.agree()
    bent = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and e.is_delta() and e.status == 200 and len(bent) < 3:
            bent.append(e.path)
            if len(bent) == 1:
                e.answer(404, b"<html>not here</html>", **{"Content-Type": "text/html"})
            elif len(bent) == 2:
                e.answer(200, dict(e.json(), **{"@odata.nextLink": "http://elsewhere.example/api"}))
            else:
                e.answer(200, dict(e.json(), **{"@odata.deltaLink": 5}))
            bent[-1] = e.at
    case.wait(lambda: len(bent) == 3, 40, "the strange answers")
    change_one(case)
    case.agree()
    reads = [e for e in wire.pages("contacts") if not e.is_delta()]
    expect(len(reads) == 1, f"{len(reads)} pages of full reads")


ALL_TYPES = """new_remark new_kind new_topics new_anonymous new_score new_sequence new_weight new_mood
new_reward new_heldon new_answeredon new_opensat new_abouttable new_photo new_document new_contactid
new_payerid ownerid statecode statuscode transactioncurrencyid""".split()


def as_in_topic(row, column):
    """What the Web API says of a column, in the words of the topic."""
    lookup, photo = row.get(f"_{column}_value"), row.get(f"{column}id")
    value = lookup or photo or row.get(column)
    return value if value is None or isinstance(value, bool) else str(value).removesuffix("Z")


def plain(value):
    if isinstance(value, dict):
        value = value["id"] if "id" in value else value["value"]
    if isinstance(value, list):
        value = ",".join(str(v["value"]) for v in value)
    return value if value is None or isinstance(value, bool) else str(value).removesuffix("Z")


def test_every_type_of_column_arrives(case):
    """A table with all types that can be read, three columns at a time, beside what the Web API says."""
    case.setup(contacts=20)
    flow = {"kind": "custom-entity", "table": "new_survey", "resource": "cusLoyaltyCard", "key": "cardId",
            "poll": "300ms"}
    with open(os.path.join(TOP, "deploy/tideway.yaml"), encoding="utf-8") as f:
        only = dict(yaml.safe_load(f), metadata=case.world.path("metadata-types", "x")[:-2],
                    name=case.name, flows={"surveys": flow})

    def configure(columns):
        flow["fields"] = [{"from": c, "to": a} for c, a in
                          zip(columns, ("cardNumber", "note", "contactId"))]
        case.config = [case.world.write(f"config/{case.name}.yaml", json.dumps(only))]
    configure(["new_name"])
    case.tideway("metadata", "pull")
    case.tideway("topics", "create", "--flow", "surveys")
    table = {r["new_surveyid"]: r for r in case.dynamics.rows("new_surveys")}
    seen, wrong = {c: {} for c in ALL_TYPES}, []
    for i in range(0, len(ALL_TYPES), 3):
        group = ALL_TYPES[i:i + 3]
        configure(group)
        stage = case.start("surveys", "extract-dataverse", name=f"extract-{i}")
        case.wait(lambda s=stage: "full read complete" in case.log(s), 30, f"{group} to be read")
        stage.stop()
        for m in case.messages("crm.new_survey"):
            for column in group:
                if m["value"] and m["value"]["row"] and column in m["value"]["row"]:
                    seen[column][m["key"]] = m["value"]["row"][column]
    for column, values in seen.items():
        for key, row in table.items():
            a, b = plain(values.get(key)), as_in_topic(row, column)
            same = a == b or (a and b and not isinstance(a, bool) and
                              (a.startswith(b) or b.startswith(a) or float_or(a) == float_or(b)))
            if not same:
                wrong.append(f"{column}: {a!r} in the topic, {b!r} in the table")
        expect(any(v is not None for v in values.values()) or column in ("new_payerid", "new_contactid"),
               f"{column} is null in every row")
    expect(not wrong, f"{len(wrong)} differences: {wrong[:6]}")


def float_or(text):
    try:
        return float(text)
    except ValueError:
        return text


def new_column(case, **flow):
    """A column comes into the mapping while rows changed a moment ago: all rows have it in the end."""
    fields = [{"from": "firstname", "to": "firstName"}, {"from": "lastname", "to": "lastName"}]
    flow = dict({"page_size": 10, "poll": "300ms"}, **flow)
    wired(case, 100, {"flows": {"contacts": dict(flow, fields=fields)}})
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: rows_in_topic(case) == 100 and progress(case).startswith("following"), 20, "the rows")
    retitle(case, case.dynamics.rows("contacts"), "changed")
    wanted = {r["contactid"]: int(r["versionnumber"]) for r in case.dynamics.rows("contacts")}
    case.wait(lambda: wanted == {m["key"]: m["value"]["version"] for m in case.messages("crm.contact")
                                 if m["value"]}, 30, "the changes")
    extractor(case).stop()
    case.configure({"flows": {"contacts": flow}})
    case.dynamics_box.fault(path="*contacts?*", delay_ms=100, count=100)
    case.start("contacts", "extract-dataverse")

    def titles():
        last = {m["key"]: m["value"] for m in case.messages("crm.contact") if m["value"]}
        return [v["row"].get("jobtitle") for v in last.values()]
    case.wait(lambda: titles() == ["changed"] * 100, 60, "the new column in all rows")
    case.wait(lambda: progress(case).startswith("following"), 30, "the end of the read")
    expect("held" not in progress(case), progress(case))


def test_polled_by_modifiedon_a_new_column_is_read_for_rows_that_changed_just_before(case):
    """What the topic has from before the change of the mapping is no repetition."""
    new_column(case, changes="modifiedon", overlap="5m")


def test_polled_by_versionnumber_a_new_column_is_read_for_rows_that_changed_just_before(case):
    """The same by versions."""
    new_column(case, changes="versionnumber")


def test_by_full_reads_a_new_column_is_read_for_rows_that_did_not_change(case):
    """Their versions are those that the topic has, their columns are not."""
    new_column(case, changes="full")


def stray(case, picks, act):
    """One request is answered by a gateway that has no such page: the extractor goes on."""
    wire = wired(case, 60, small_pages(poll="300ms"))
    case.start("contacts")
    case.agree()
    bent = []

    @wire.rule
    def _(e):
        if picks(e) and not bent:
            bent.append(e.path)
            e.answer(404, b"<html>gateway</html>", **{"Content-Type": "text/html"})
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.wait(lambda: bent, 20, "the strange answer")
    change_one(case)
    case.agree()
    expect(extractor(case).running(), "the extractor ended")


def test_a_strange_answer_to_the_first_page_of_a_full_read_does_not_end_the_extractor(case):
    """Exit 100 would be for good."""
    stray(case, lambda e: e.is_page("contacts") and e.first() and "filter" not in e.path, None)


def test_a_strange_answer_to_the_question_who_it_is_does_not_end_the_extractor(case):
    """Exit 100 would be for good."""
    stray(case, lambda e: "WhoAmI" in e.path, None)


def test_next_links_that_expire_at_once_do_not_make_a_read_begin_again_and_again(case):
    """The first time at once, then later and later."""
    wire = wired(case, 60, small_pages(poll="300ms"))
    case.start("contacts")
    case.agree()

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.first():
            e.answer(400, {"error": {"code": "0x80044352", "message": "Version stamp has expired."}})
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    said(case, "the full read begins again", 2)
    asked = len(wire.pages("contacts"))
    end = time.monotonic() + 4
    case.wait(lambda: time.monotonic() > end, 10, "some seconds")
    expect(len(wire.pages("contacts")) - asked <= 2, "it goes on asking")
    expect(case.log(extractor(case)).count("begins again") == 2, "it began again more than twice")


def test_a_row_that_is_created_again_behind_a_full_read_lives(case):
    """The read met it gone; before it is deleted it is asked for. Changes are polled seldom here."""
    wire = wired(case, 60, small_pages(poll={"min": "10s", "max": "20s"}))
    case.start("contacts")
    case.agree()
    extractor(case).stop()
    reads = [e for e in wire.pages("contacts") if not e.is_delta()]
    row = reads[0].json()["value"][3]
    last, held, open_gate = reads[-1].json()["value"][-1]["contactid"], [], []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not e.is_delta() and "pagenumber%3D%223" in e.path and not open_gate:
            held.append(e.path)
            e.answer(503, b"")
    case.dynamics.delete("contacts", row["contactid"])
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: held, 20, "the third page")
    flags = {k: v for k, v in row.items() if k.startswith("donot") and "@" not in k}
    case.dynamics.create("contacts", dict(flags, contactid=row["contactid"], lastname=row["lastname"]))
    case.dynamics.update("contacts", last, {"jobtitle": "later"})
    open_gate.append(True)
    case.agree(60)

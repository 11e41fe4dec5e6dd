"""What a mapping does on its way through the topics, and the commands that look at it."""
import json
import os
import re
import shutil

import reader
from case import TOP, expect
from changes import CONTRACTS, with_flows

FIELDS = [{"from": "firstname", "to": "firstName"}, {"from": "lastname", "to": "lastName"},
          {"from": "emailaddress1", "to": "email"}]


READ_BY_READ = ("PKey", "href", "subscriptions")  # differ from one reading to the next


def profiles(case):
    return {p["externalId"]: {k: v for k, v in p.items() if k not in READ_BY_READ}
            for p in case.campaign.rows("profile")}


def contacts(fields=(), **keys):
    return {"flows": {"contacts": dict(keys, fields=FIELDS + list(fields))}}


def started(case, flow="contacts", *programs):
    case.start(flow, *programs)
    case.wait(lambda: len(case.campaign.rows("profile")) == case.dynamics.count("contacts"), 30,
              "all profiles to be there")
    case.drained(flow, "load-campaign")


def test_a_record_that_leaves_the_filter_is_deleted_and_one_that_comes_back_is_made_again(case):
    """filtered_out: delete, from Dynamics to Campaign; the topic forgets the key meanwhile."""
    case.setup("contacts", contacts=30, overlay=contacts(
        filter={"not": {"column": "department", "is": "Closed"}}, filtered_out="delete"))
    started(case)
    key = case.dynamics.rows("contacts")[3]["contactid"]
    case.dynamics.update("contacts", key, {"department": "Closed"})
    case.wait(lambda: not case.campaign.find("profile", key), 20, "the profile to be gone")
    last = [m["value"] for m in case.messages("campaign.profile") if m["key"] == key][-2:]
    expect(last[0]["op"] == "delete" and last[1] is None, f"the topic ends with {last}")
    case.dynamics.update("contacts", key, {"department": "Open", "lastname": "Again"})
    case.wait(lambda: (case.campaign.find("profile", key) or {}).get("lastName") == "Again", 20,
              "the profile to be there again")
    expect(len(case.campaign.rows("profile")) == 30, "another profile came or went")


def test_a_filter_on_a_column_that_is_not_in_the_topic_yet_deletes_nothing(case):
    """A transformer that starts with a new filter before its extractor has read the column leaves
    records out, and says so; the extractor's new read brings them."""
    case.setup("contacts", contacts=20, overlay=contacts())
    started(case)
    rows = case.dynamics.rows("contacts")
    key, closed = rows[0]["contactid"], rows[1]["contactid"]
    case.dynamics.update("contacts", closed, {"department": "Closed"})
    case.dynamics.update("contacts", key, {"department": "Open"})
    stages = {s.program: s for s in case.stages}
    stages["transform-contact"].stop()
    case.configure(contacts(filter={"column": "department", "is": "Open"}, filtered_out="delete"))
    case.tideway("replay", "--flow", "contacts", "--stage", "transform-contact", "--from",
                 "beginning")
    stage = case.start("contacts", "transform-contact", name="filtering")
    case.wait(lambda: "column=department" in case.log(stage), 20, "the column to be said")
    case.drained("contacts", "transform-contact")
    case.drained("contacts", "load-campaign")
    expect(len(case.campaign.rows("profile")) == 20, "profiles were deleted by a null that is none")
    _, text, _ = case.tideway("plan", "--flow", "contacts", "--sample", "0", check=False)
    expect("left out   20" in text and "not-read-yet" in text, text)
    stages["extract-dataverse"].stop()
    case.start("contacts", "extract-dataverse", name="reading-anew")
    case.wait(lambda: [p["externalId"] for p in case.campaign.rows("profile")] == [key], 30,
              "only the open department to stay")


def test_a_deleted_contact_is_deactivated(case):
    """deletes: deactivate sets what it names, leaves the rest alone, and makes nothing."""
    case.setup("contacts", contacts=30, overlay=contacts(
        deletes="deactivate", deactivate={"cusStatus": "gone", "blackList": "true"}))
    started(case)
    rows = case.dynamics.rows("contacts")
    key, lost = rows[3]["contactid"], rows[4]["contactid"]
    before = case.campaign.find("profile", key)
    case.campaign.request("DELETE", f"/profile/{lost}")
    case.dynamics.delete("contacts", key)
    case.dynamics.delete("contacts", lost)
    case.wait(lambda: case.campaign.find("profile", key)["cusStatus"] == "gone", 20,
              "the profile to be deactivated")
    case.drained("contacts", "load-campaign")
    after = case.campaign.find("profile", key)
    changed = {k for k in after if after[k] != before.get(k) and "odified" not in k
               and k not in READ_BY_READ}
    expect(changed == {"cusStatus", "blackList"}, f"changed: {changed}")
    expect(not case.campaign.find("profile", lost), "a profile was made to be deactivated")
    tombs = [m for m in case.messages("campaign.profile") if m["value"] is None]
    expect(not tombs, f"the topic forgets a key that Campaign keeps: {tombs}")


def test_a_merged_contact_follows_the_winner(case):
    """A merge in Dynamics deletes the loser's profile and brings the merged values to the winner's;
    the loser's cards lead to the winner."""
    case.setup("contacts", "loyalty-cards", contacts=30, overlay=contacts())
    started(case)
    case.start("loyalty-cards")
    rows = case.dynamics.rows("contacts")
    owners = {c["_new_contactid_value"] for c in case.dynamics.rows("new_loyaltycards")}
    loser = next(r["contactid"] for r in rows if r["contactid"] in owners)
    winner = next(r["contactid"] for r in rows if r["contactid"] != loser)
    case.wait(lambda: not reader.compare_cards(case.dynamics, case.campaign, 3)[1], 30, "the cards")

    def row(key):
        return {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": key}
    case.dynamics.request("POST", "/Merge", {
        "Target": row(winner), "Subordinate": row(loser), "PerformParentingChecks": False,
        "UpdateContent": {"@odata.type": "Microsoft.Dynamics.CRM.contact", "lastname": "Both"}})
    case.wait(lambda: not case.campaign.find("profile", loser), 20, "the loser's profile to be gone")
    case.wait(lambda: case.campaign.find("profile", winner)["lastName"] == "Both", 20, "the winner")
    case.wait(lambda: not reader.compare_cards(case.dynamics, case.campaign, 3)[1], 20,
              "the loser's cards to follow")
    expect(len(case.campaign.rows("profile")) == 29, "other profiles came or went")


def test_what_is_set_at_creation_is_never_written_again(case):
    """on: create, and when_null: keep."""
    case.setup("contacts", contacts=20, overlay=contacts(
        [{"from": "jobtitle", "to": "cusJobTitle", "on": "create"},
         {"from": "nickname", "to": "cusPreferredContact", "when_null": "keep"}]))
    key = case.dynamics.create("contacts", {"firstname": "Ada", "lastname": "King",
                                            "jobtitle": "Countess"})
    started(case)
    expect(case.campaign.find("profile", key)["cusJobTitle"] == "Countess", "it was not created so")
    case.campaign.update("profile", key, {"cusPreferredContact": "by owl"})
    case.dynamics.update("contacts", key, {"lastname": "Lovelace", "jobtitle": "Programmer"})
    case.wait(lambda: case.campaign.find("profile", key)["lastName"] == "Lovelace", 20, "the name")
    found = case.campaign.find("profile", key)
    expect(found["cusJobTitle"] == "Countess", f"it was written again: {found['cusJobTitle']}")
    expect(found["cusPreferredContact"] == "by owl", "null was not left alone")


def said(case, stage):
    """{field: line} of what a transformer says has changed."""
    lines = [line for line in case.log(stage).splitlines() if 'msg="mapping changed"' in line]
    return {line.split("field=")[1].split()[0]: line for line in lines}


def test_a_changed_mapping_is_said_and_replay_applies_it(case):
    """Restarted with another mapping, a transformer names the fields; back again, too; without a
    change it says nothing. What is in the topic changes with a replay."""
    case.setup("contacts", contacts=20, overlay=contacts())
    started(case)
    number = 0

    def restart(overlay):
        nonlocal number
        number += 1
        next(s for s in case.stages if s.program == "transform-contact" and s.running()).stop()
        case.configure(overlay)
        stage = case.start("contacts", "transform-contact", name=f"again-{number}")
        case.wait(lambda: "msg=started" in case.log(stage), 15, "the transformer to start")
        return stage
    expect(not said(case, restart(contacts())), "a change was said of the same mapping")
    other = contacts([{"from": "jobtitle", "to": "cusJobTitle", "convert": "upper"}],
                     filter={"column": "lastname", "exists": True})
    stage = restart(other)
    told = said(case, stage)
    expect("cusJobTitle" in told and any("filter" in line for line in told.values()),
           f"said: {told}")
    expect("firstName" not in told, f"said of what did not change: {told}")
    # The memory is as old as the work: with a record it is the new mapping.
    key = case.dynamics.rows("contacts")[0]["contactid"]
    case.dynamics.update("contacts", key, {"lastname": "Worked"})
    case.wait(lambda: case.campaign.find("profile", key)["lastName"] == "Worked", 20, "a change")
    case.drained("contacts", "transform-contact")
    expect(not said(case, restart(other)), "the new mapping was said again")
    expect("cusJobTitle" in said(case, restart(contacts())), "the way back was not said")
    case.dynamics.update("contacts", key, {"lastname": "Back"})
    case.wait(lambda: case.campaign.find("profile", key)["lastName"] == "Back", 20, "a change")
    case.drained("contacts", "transform-contact")
    expect(not said(case, restart(contacts())), "the way back was said again")
    # History: two letters of each first name, for all.
    next(s for s in case.stages if s.program == "transform-contact" and s.running()).stop()
    case.tideway("replay", "--flow", "contacts", "--stage", "transform-contact", "--from",
                 "beginning")
    short = contacts()
    short["flows"]["contacts"]["fields"] = [dict(FIELDS[0], convert={"first": 2})] + FIELDS[1:]
    case.configure(short)
    stage = case.start("contacts", "transform-contact", name="replayed")
    names = {r["contactid"]: (r["firstname"] or "")[:2] for r in case.dynamics.rows("contacts")}
    case.wait(lambda: {p["externalId"]: p["firstName"] for p in case.campaign.rows("profile")}
              == names, 20, "all first names to be short")
    expect("firstName" in said(case, stage), "after a replay the change was not said")


def test_plan_says_what_it_would_do_and_writes_nothing(case):
    """Creates, updates field by field, deletes, rejects, what is left out; and what it costs."""
    case.setup("contacts", contacts=20, overlay=contacts())
    started(case)
    rows = case.dynamics.rows("contacts")
    changed, gone, long, out = (rows[i]["contactid"] for i in (1, 2, 3, 4))
    case.dynamics.update("contacts", long, {"firstname": "x" * 40})
    case.wait(lambda: any(m["key"] == long for m in case.messages("rejected.contacts."
                                                                  "transform-contact")), 20,
              "the long name to be rejected")
    case.dynamics.update("contacts", out, {"lastname": "Out"})
    case.wait(lambda: case.campaign.find("profile", out)["lastName"] == "Out", 20, "a change")
    for stage in case.stages:
        stage.stop()
    case.campaign.update("profile", changed, {"lastName": "Somebody Else"})
    case.campaign.request("DELETE", f"/profile/{gone}")
    before = profiles(case)
    case.configure(contacts([{"constant": "planned", "to": "cusStatus"}],
                            filter={"column": "lastname", "is_not": "Out"},
                            filtered_out="delete"))
    case.campaign_box.clear()
    code, text, err = case.tideway("plan", "--flow", "contacts", "--sample", "0", check=False)
    writes = [r for r in case.campaign_box.requests() if r[0] == "profile" and r[1] != "GET"]
    expect(code == 1, f"a plan with a reject ends with {code}: {err}")
    expect(not writes, f"plan wrote: {writes}")
    expect(before == profiles(case), "plan wrote")
    last = rows[1]["lastname"]
    for line in (f"create  {gone}", f"update  {changed}", f"lastName: \"Somebody Else\" -> \"{last}\"",
                 'cusStatus: "" -> "planned"', f"delete  {out}  (filtered-out)",
                 f"reject  {long}  too-long", "create     1", "update     17", "delete     1",
                 "reject     1", "take 20 requests"):
        expect(line in text, f"plan does not say {line!r}:\n{text}")
    code, text, _ = case.tideway("plan", "--flow", "contacts", "--key", gone, check=False)
    expect(not code and "create     1" in text and "update     0" in text, text)


def plan(case, flow):
    """What plan says: its text, and the number of requests."""
    _, text, err = case.tideway("plan", "--flow", flow, "--sample", "0", check=False)
    said = re.search(r"would take (\d+) requests", text)
    expect(said, f"plan says no number: {text}{err}")
    return text, int(said[1])


def costs_what_plan_says(case, flow, transformer, least, most):
    """Plans, lets the transformer and the loader do it, and compares the number of requests that plan
    said with the number that came: of this flow and of the parents that it looks up."""
    text, said = plan(case, flow)
    expect(least <= said <= most, f"plan says {said}:\n{text}")
    case.campaign_box.clear()
    stages = [case.start(flow, program, name=f"{program}-{flow}-{len(case.stages)}")
              for program in (transformer, "load-campaign")]
    case.drained(flow, transformer)
    case.drained(flow, "load-campaign")
    came = case.campaign_box.requests()
    for stage in stages:
        stage.stop()
    spent = sum(n for route, _, _, n in came if route.split()[0] in ("profile", "cusLoyaltyCard",
                                                                     "cusContract"))
    expect(spent == said, f"plan says {said}, a run took {spent}: {came}\n{text}")


def extracted(case, flow, topic, count):
    stage = case.start(flow, "extract-dataverse")
    case.wait(lambda: len({m["key"] for m in case.messages(topic)}) == count, 30, f"{count} rows")
    return stage


def test_a_run_costs_what_plan_said_of_profiles(case):
    """By key, first by PATCH and then by POST: what is new, what Campaign had already, what the loader
    knows, what the mapping changes, what is deleted; a parent is looked up once."""
    case.setup("contacts", contacts=20, overlay=contacts())
    keys = [r["contactid"] for r in case.dynamics.rows("contacts")]
    for key in keys[:3]:
        case.campaign.request("POST", "/profile", {"externalId": key, "lastName": "Was There"})
    extractor = extracted(case, "contacts", "crm.contact", 20)
    costs_what_plan_says(case, "contacts", "transform-contact", 17 * 2 + 3, 17 * 2 + 3)
    # The loader has nothing to do, whatever somebody does in Campaign.
    case.campaign.update("profile", keys[4], {"lastName": "By Hand"})
    text, said = plan(case, "contacts")
    expect(said == 1 and "1 of them load-campaign has written so before" in text, text)
    # Another field, which is null here and there, is written to be sure.
    case.configure(contacts([{"from": "nickname", "to": "cusPreferredContact"}]))
    case.tideway("replay", "--flow", "contacts", "--stage", "transform-contact", "--from",
                 "beginning")
    costs_what_plan_says(case, "contacts", "transform-contact", 20, 20)
    case.dynamics.delete("contacts", keys[5])
    case.wait(lambda: any(m["value"] and m["value"]["op"] == "delete"
                          for m in case.messages("crm.contact")), 20, "the delete")
    extractor.stop()
    costs_what_plan_says(case, "contacts", "transform-contact", 1, 1)


def test_a_run_costs_what_plan_said_where_the_target_was_empty(case):
    """on_unknown: post."""
    case.setup("contacts", contacts=20, overlay=contacts(on_unknown="post"))
    key = case.dynamics.rows("contacts")[0]["contactid"]
    case.campaign.request("POST", "/profile", {"externalId": key, "lastName": "Was There"})
    extracted(case, "contacts", "crm.contact", 20).stop()
    costs_what_plan_says(case, "contacts", "transform-contact", 19 + 2, 19 + 2)


def test_a_run_costs_what_plan_said_by_a_filter(case):
    """address: filter, where the instance takes no key in its addresses."""
    flow = {"address": "filter",
            "address_filter": {"name": "byCardId", "parameter": "card_id_parameter"}}
    case.setup("contacts", "loyalty-cards", contacts=30, campaign=("--custom-keys", "no"),
               overlay={"flows": {"loyalty-cards": flow}})
    count = case.dynamics.count("new_loyaltycards")
    expect(count > 5, f"only {count} cards")
    extractor = extracted(case, "loyalty-cards", "crm.new_loyaltycard", count)
    costs_what_plan_says(case, "loyalty-cards", "transform-custom-entity", 2 * count, 2 * count)
    key = case.dynamics.rows("new_loyaltycards")[0]["new_loyaltycardid"]
    case.dynamics.update("new_loyaltycards", key, {"new_note": "changed"})
    case.wait(lambda: sum(m["key"] == key for m in case.messages("crm.new_loyaltycard")) == 2, 20,
              "the change")
    costs_what_plan_says(case, "loyalty-cards", "transform-custom-entity", 2, 2)
    case.dynamics.delete("new_loyaltycards", key)
    case.wait(lambda: sum(m["key"] == key for m in case.messages("crm.new_loyaltycard")) > 2, 20,
              "the delete")
    extractor.stop()
    costs_what_plan_says(case, "loyalty-cards", "transform-custom-entity", 2, 2)


def test_a_run_costs_what_plan_said_with_parents_that_are_looked_up(case):
    """mode: pkey: one GET more for each parent, not for each child. One request at a time, because
    children that are in flight together ask each for itself."""
    contracts = dict(CONTRACTS, links=[dict(CONTRACTS["links"][0], mode="pkey")], max_in_flight=1)
    with_flows(case, {"contracts": contracts}, overlay=contacts())
    for i in range(3):
        owner = case.dynamics.create("contacts", {"firstname": "Ada", "lastname": f"Owner {i}"})
        for k in range(3):
            case.dynamics.create("new_loyaltycards", {
                "new_name": f"{i}-{k}", "new_contactid@odata.bind": f"/contacts({owner})"})
    owners = {c["_new_contactid_value"] for c in case.dynamics.rows("new_loyaltycards")} - {None}
    count = case.dynamics.count("new_loyaltycards")
    started(case)
    extracted(case, "contracts", "crm.new_loyaltycard", count).stop()
    least = 2 * 9 + len(owners)
    costs_what_plan_says(case, "contracts", "transform-custom-entity", least, 2 * count + len(owners))


def test_plan_looks_at_the_rows_that_are_asked_for(case):
    """--key takes an id in any case; one that the topic does not have is said, with exit 1. --sample is
    the first rows, --since those that came since."""
    case.setup("contacts", contacts=3, overlay=contacts())
    extracted(case, "contacts", "crm.contact", 3).stop()
    key = case.dynamics.rows("contacts")[0]["contactid"]
    code, text, err = case.tideway("plan", "--flow", "contacts", "--key", key.upper(), check=False)
    expect(not code and f"create  {key}" in text, f"{code} {text}{err}")
    for words, count in ((("--sample", "2"), 2), (("--sample", "0"), 3), ((), 3),
                         (("--since", "2020-01-01T00:00:00Z"), 3),
                         (("--since", "2999-01-01T00:00:00Z"), 0)):
        code, text, err = case.tideway("plan", "--flow", "contacts", *words, check=False)
        expect(not code and f"create     {count}\n" in text, f"{words}: {code} {text}{err}")
    code, _, err = case.tideway("plan", "--flow", "contacts", "--since", "monday", check=False)
    expect(code == 100 and "--since wants a time with a zone" in err, f"{code} {err}")
    nobody = "00000000-0000-4000-8000-000000000000"
    code, text, err = case.tideway("plan", "--flow", "contacts", "--key", nobody, check=False)
    expect(code == 1 and not text and f"no row with the key {nobody}" in err, f"{code} {text}{err}")


def test_check_asks_the_live_systems_where_it_can(case):
    """Metadata that is not theirs any more is a mistake; systems that are away are only noted."""
    case.setup("contacts", contacts=5)
    saved = case.world.path("config", f"{case.name}-metadata", "x")[:-2]
    shutil.copytree(os.path.join(TOP, "deploy/metadata"), saved, dirs_exist_ok=True)
    code, text, err = case.tideway("check", check=False)
    expect(not code and "not reachable" not in text, f"{code} {text}{err}")
    path = os.path.join(saved, "campaign.profile.json")
    with open(path, encoding="utf-8") as f:
        profile = json.load(f)
    profile["attributes"]["fax"] = {"type": "string", "length": 500}
    with open(path, "w", encoding="utf-8") as f:
        json.dump(profile, f)
    case.configure({"metadata": saved})
    code, _, err = case.tideway("check", check=False)
    expect(code == 100 and "live: " in err and "fax" in err, f"{code} {err}")
    code, text, err = case.tideway("check", "--json", check=False)
    found = json.loads(text)["mistakes"]
    expect(code == 100 and found[0]["line"] > 0 and "fax" in found[0]["text"], text)
    for box in case.sandboxes:
        box.stop()
    code, text, err = case.tideway("check", check=False)
    expect(not code and "Dynamics is not reachable: checked against saved metadata only" in text
           and "Campaign is not reachable" in text, f"{code} {text}{err}")

"""flows - each flow from its source to its target, and what is promised about consent and order."""
from case import expect

KINDS = ("send", "open", "click", "bounce")


def test_contacts_and_cards_arrive_and_follow_changes(case):
    """1,000 contacts and 1,500 linked cards arrive; changes, additions and deletes follow; after
    the snapshot only delta requests occur."""
    case.setup("contacts", "loyalty-cards", contacts=1000)
    case.start("contacts")
    case.start("loyalty-cards")
    case.agree(60, cards=True)
    case.dynamics_box.clear()
    rows = case.dynamics.rows("contacts")
    case.dynamics.update("contacts", rows[3]["contactid"], {"firstname": "", "lastname": "Łódź 😀"})
    case.dynamics.update("contacts", rows[4]["contactid"], {"birthdate": None, "gendercode": None})
    case.dynamics.delete("contacts", rows[5]["contactid"])
    new = case.dynamics.create("contacts", {"lastname": "New"})
    card = case.dynamics.create("new_loyaltycards", {
        "new_name": "N-1", "new_tier": 4, "new_balance": 12.3456,
        "new_contactid@odata.bind": f"/contacts({new})"})
    case.agree(cards=True)
    expect(case.campaign.get(case.campaign.find("cusLoyaltyCard", card)["profile"]["href"])
           ["externalId"] == new, "the new card is not linked to the new profile")
    kinds = {r for r, m, _, _ in case.dynamics_box.requests() if m == "GET" and "(" in r}
    expect("contacts (delta)" in kinds and "new_loyaltycards (delta)" in kinds and
           not any("snapshot" in k for k in kinds), f"reads after the snapshot: {kinds}")
    case.each_version_once("crm.contact")
    case.each_version_once("campaign.profile")


def test_a_profile_that_opted_out_stays_so(case):
    """Renaming the contact and replaying the flow never gives consent back."""
    case.setup("contacts", contacts=50)
    case.start("contacts")
    case.agree()
    contact = next(c for c in case.dynamics.rows("contacts") if not c["donotemail"])["contactid"]
    for field in ("blackListEmail", "blackListPhone", "blackListFax", "blackListPostalMail"):
        case.campaign.update("profile", contact, {field: True})
        case.opted_out.add((contact, field))
    case.dynamics.update("contacts", contact, {"lastname": "Renamed", "donotemail": False})
    case.agree()
    loader = case.stages[-1]
    loader.stop()
    case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning",
                 "--force")
    case.campaign_box.clear()
    case.start("contacts", "load-campaign")
    case.drained("contacts", "load-campaign")
    patches = case.campaign_box.count("profile", "PATCH", 200)
    expect(patches >= 50, f"the replay wrote {patches} profiles only")
    case.agree()
    # And an opt-out in Dynamics does arrive.
    case.opted_out -= {(contact, "blackListEmail")}
    case.dynamics.update("contacts", contact, {"donotemail": True})
    case.agree()
    bodies = [h["body"] for h in case.campaign_box.history(contact)]
    false = [b for b in bodies for k, v in b.items() if k.startswith("blackList") and v is False]
    expect(not false, f"a consent flag was written as false: {false}")


def test_email_events_come_to_the_timeline(case):
    """Sends, opens, clicks and bounces of two deliveries, once each, in spite of files that
    overlap; Sent that becomes Failed is a send and a bounce; profiles that never came from
    Dynamics, test rows, exclusions and soft bounces are left out."""
    case.setup("contacts", "email-events", contacts=300, strangers=40)
    case.start("contacts")
    case.agree()
    case.start("email-events")
    counts = dict.fromkeys(KINDS, 0)
    for number in (1, 2):
        sent = case.campaign_box.control.request("POST", "/_sandbox/deliver", {"name": f"DM{number}"})
        for kind in KINDS:
            counts[kind] += sent["of_contacts"][kind]
        case.agree(events=True)
    expect(all(counts.values()), f"the simulator made no {counts}")
    have = {}
    for m in case.messages("campaign.email-event"):
        kind = m["value"]["kind"]
        have[kind] = have.get(kind, 0) + 1
    expect(have == counts, f"events in the topic {have}, in Campaign {counts}")


def test_kinds_that_are_off_and_old_events_stay_out(case):
    """Only the kinds that the flow names and only events from `since` on reach Dynamics."""
    case.setup("contacts", contacts=50)
    case.start("contacts")
    case.agree()
    case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
    case.configure({"flows": {"email-events": {"since": "2100-01-01T00:00:00Z"}}})
    case.tideway("topics", "create", "--flow", "email-events")
    case.start("email-events")

    def extracted():
        return len(case.messages("campaign.email-event")) > 50
    case.wait(extracted, 20, "the events in their topic")
    case.drained("email-events", "transform-marketing-event")
    expect(not case.messages("crm.email-activity"), "events before `since` became activities")


def test_a_thousand_inserts_into_a_slow_campaign(case):
    """With 200 ms of server delay 1,000 inserts take under 30 s: requests overlap."""
    import time
    case.setup("contacts", contacts=1000)
    case.start("contacts", "extract-dataverse", "transform-contact")
    case.wait(lambda: len(case.messages("campaign.profile")) >= 1000, 30, "1,000 records")
    case.campaign_box.fault(path="/acme/campaign/*", delay_ms=200, count=1000000)
    began = time.monotonic()
    case.start("contacts", "load-campaign")
    case.wait(lambda: case.campaign_box.count("profile", "POST", 201) >= 1000, 30, "1,000 inserts")
    seconds = time.monotonic() - began
    expect(seconds < 30, f"1,000 inserts took {seconds:.1f} s")
    expect(seconds > 2 * 0.2, "the delay was not there")
    case.campaign_box.no_faults()
    case.agree()


def test_history_of_each_key_is_in_order(case):
    """Ten versions of each contact under lost answers, 503s and delays: Campaign never sees an
    older version after a newer one, and ends with the newest."""
    case.setup("contacts", contacts=100)
    case.start("contacts")
    case.agree()
    case.campaign_box.fault(method="PATCH", status=503, probability=0.1, count=1000000)
    case.campaign_box.fault(method="PATCH", close=True, after=True, probability=0.05, count=1000000)
    case.campaign_box.fault(method="PATCH", delay_ms=120, probability=0.3, count=1000000)
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
    for version in range(1, 11):
        case.dynamics.update_many("contacts", "contact", "contactid",
                                  {i: {"jobtitle": f"{version}"} for i in ids})
        case.wait(lambda v=version: any(m["value"] and m["value"]["row"]["jobtitle"] == str(v)
                                        for m in case.messages("crm.contact")), 20, "a version")
    case.wait(lambda: all(p["cusJobTitle"] == "10" for p in case.campaign.rows("profile")), 60,
              "the last version")
    case.campaign_box.no_faults()
    case.agree()
    for i in ids:
        titles = [h["body"].get("cusJobTitle", "") for h in case.campaign_box.history(i)]
        numbers = [int(t) for t in titles if t.isdigit()]
        expect(numbers == sorted(numbers) and numbers[-1] == 10,
               f"profile {i} was written in the order {numbers}")
    expect(not case.messages("rejected.contacts.load-campaign"), "a record was rejected")


def test_a_lost_answer_to_an_insert_makes_no_second_insert(case):
    """A POST whose answer is lost, torn or a 503 is never repeated: a PATCH of its key finds out."""
    case.setup("contacts", contacts=120)
    case.start("contacts", "extract-dataverse", "transform-contact")
    case.wait(lambda: len(case.messages("campaign.profile")) >= 120, 20, "the records")
    box = case.campaign_box
    box.fault(method="POST", path="*/profile", close=True, after=True, count=30)
    box.fault(method="POST", path="*/profile", torn=True, after=True, count=30)
    box.fault(method="POST", path="*/profile", status=503, after=True, count=30)
    case.start("contacts", "load-campaign")
    case.agree()
    case.drained("contacts", "load-campaign")
    keys = [c["contactid"] for c in case.dynamics.rows("contacts")]
    posts = {k: [h["method"] for h in box.history(k)].count("POST") for k in keys}
    expect(set(posts.values()) == {1}, f"inserted more than once: {posts}")
    refused = [n for r, m, s, n in box.requests() if m == "POST" and r == "profile" and s == 500]
    expect(not refused, f"{refused} inserts were repeated and refused as duplicates")
    expect(not case.messages("rejected.contacts.load-campaign"), "a record was rejected")

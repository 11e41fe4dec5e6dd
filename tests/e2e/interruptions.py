"""interruptions - what a limit, an operator, a lost checkpoint or another leader does to an extractor
that is at work."""
import signal
import subprocess
import threading

import reader
from case import expect
from extraction import change_one, extractor, progress, wired
from failures import ends
from passes import again, arrives, deletes, retitle, said
from world import topic_keys


def put(case, record, *options):
    """record: key|value, into the checkpoint topic; with -Z an empty value is a tombstone."""
    subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-P", "-t",
                    case.topic("checkpoint.contacts"), "-K", "|", *options],
                   input=record + "\n", text=True, check=True)


# ---- limits ----------------------------------------------------------------------------------------

def test_a_wish_of_an_operator_does_not_shorten_retry_after(case):
    """What has to be waited for is waited for, whatever comes meanwhile."""
    wire = wired(case, 20)
    case.start("contacts")
    case.agree()
    refused = []

    @wire.rule
    def _(e):
        if e.is_page("contacts") and not refused:
            refused.append(e.at)
            e.answer(429, {"error": {"code": "0x80072322", "message": "Too many."}},
                     **{"Retry-After": "6", "Content-Type": "application/json"})
    case.wait(lambda: refused, 10, "a 429")
    case.tideway("replay", "--flow", "contacts", "--from", "source")

    def after():
        return [e.at for e in wire.seen if e.at > refused[0]]
    case.wait(after, 20, "the next request")
    expect(after()[0] - refused[0] > 5.5, f"it came after {after()[0] - refused[0]:.1f} s")
    said(case, "full read complete", 2)


def test_a_token_that_is_revoked_costs_one_401_and_no_wait(case):
    """One new token, once, in the same step."""
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    case.dynamics_box.control.request("POST", "/_sandbox/revoke-tokens")
    case.dynamics = reader.Dynamics(case.env)
    change_one(case)
    case.agree(10)
    refused = case.dynamics_box.count(status=401)
    expect(refused == 1, f"{refused} requests were answered 401")
    expect("msg=waiting" not in case.log(extractor(case)), "a 401 was waited out")


def test_asked_to_stop_during_a_slow_answer_it_stops(case):
    """A request that hangs for minutes holds nobody up."""
    wire = wired(case, 20)
    case.start("contacts")
    case.agree()
    asked, leave = [], threading.Event()

    @wire.rule
    def _(e):
        if e.is_page("contacts"):
            asked.append(e.path)
            leave.wait(40)
    case.wait(lambda: asked, 10, "a request")
    try:
        extractor(case).stop()
    finally:
        leave.set()


def test_a_table_without_change_tracking_or_a_column_that_is_hidden_ends_with_100(case):
    """The saved metadata says one thing, the server another: by name, before the first row."""
    wire = wired(case, 5)
    change = [lambda table: table.update(ChangeTrackingEnabled=False)]

    @wire.rule
    def _(e):
        if "EntityDefinitions(LogicalName='contact')?" in e.path and e.status == 200:
            table = e.json()
            change[0](table)
            e.answer(200, table)

    def hide(table):
        for a in table["Attributes"]:
            if a["LogicalName"] == "firstname":
                a["IsValidForRead"] = False
    ends(case, "extract-dataverse", "contacts", 100, "no change tracking", "modifiedon")
    change[0] = hide
    ends(case, "extract-dataverse", "contacts", 100, "firstname")
    expect(not wire.pages("contacts"), "rows were read")


def test_check_says_how_many_requests_a_day_the_configuration_takes(case):
    """Of all flows that read Dynamics, when all is quiet and when something always changes, beside
    what a tenant has. Two flows look twice an hour whether it is still the same environment."""
    case.setup(contacts=1, overlay={"flows": {"contacts": {"poll": {"min": "10s", "max": "60s"}},
                                              "loyalty-cards": {"poll": "20s"}}})
    out = case.tideway("check")[1]
    expect("5856 requests a day when all is quiet, 13056 when something always changes" in out, out)
    expect("1.2 and 2.6 % of the 500000" in out, out)


# ---- wishes of an operator -------------------------------------------------------------------------

def test_a_wish_waits_for_an_extractor_and_is_carried_out_once(case):
    """It need not run when it is asked, and what is done is not done again after a restart."""
    case.setup("contacts", contacts=30)
    case.start("contacts")
    case.agree()
    extractor(case).stop()
    case.tideway("replay", "--flow", "contacts", "--from", "source")
    case.start("contacts", "extract-dataverse")
    said(case, "full read complete", 2)
    for i in range(2):
        again(case)
        change_one(case, i, f"after {i}")
        arrives(case, f"after {i}")
    asked = case.log(extractor(case)).count("asked by an operator")
    expect(asked == 1, f"the wish was carried out {asked} times")


def test_a_read_since_a_time_that_the_table_cannot_answer_is_dropped(case):
    """The question is refused for good: it is said, and the flow goes on."""
    wire = wired(case, 20)

    @wire.rule
    def _(e):
        if "modifiedon%20ge" in e.path:
            e.answer(400, {"error": {"code": "0x80060888", "message": "Cannot filter by modifiedon."}})
    case.start("contacts")
    case.agree()
    case.tideway("replay", "--flow", "contacts", "--from", "source", "--since", "2020-01-01T00:00:00Z")
    said(case, "it is dropped")
    change_one(case)
    case.agree()
    expect(progress(case).startswith("following"), progress(case))


def test_a_request_that_cannot_be_read_stops_nobody(case):
    """Something else than `tideway` wrote it, before a start or after: it is said and left alone."""
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    put(case, "request/contact/junk|this is no avro")
    for times in (1, 2):
        said(case, "a request that cannot be read", times)
        change_one(case, times, f"after {times}")
        arrives(case, f"after {times}")
        again(case)


def test_wishes_that_make_no_sense_are_refused(case):
    """What would be ignored, or means something else than its author thought, is exit 100; nothing is
    asked of the extractor."""
    case.setup("contacts", contacts=5)
    source = ("replay", "--flow", "contacts", "--from", "source")
    for words, said_so in (
            (source + ("--since", "yesterday"), "--since"),
            (source + ("--since", "2026-01-31T00:00:00"), "zone"),
            (source + ("--stage", "load-campaign"), "--from source"),
            (source + ("--force",), "--from source"),
            (("replay", "--flow", "contacts", "--stage", "load-campaign", "--from", "beginning",
              "--since", "2026-01-31T00:00:00Z"), "--since"),
            (("replay", "--flow", "email-events", "--from", "source"), "files"),
            (("approve", "--flow", "email-events"), "no deletes"),
            (("approve", "--flow", "contacts", "--deletes", "0"), "--deletes"),
            (("approve", "--flow", "contacts", "--deletes", "all"), "--deletes"),
            (("approve", "--flow", "contacts"), "no deletes"),
            (("approve",), "--flow")):
        code, out, err = case.tideway(*words, check=False)
        expect(code == 100 and said_so in err, f"{' '.join(words)}: {code} {out}{err}")
    expect(not topic_keys(case.world_env, case.topic("checkpoint.contacts")), "something was asked")


# ---- the checkpoint --------------------------------------------------------------------------------

def test_without_its_checkpoint_a_full_read_finds_what_is_gone(case):
    """The checkpoint is lost and the topic is not: what the topic knows is compared, in a new epoch."""
    case.setup("contacts", contacts=40)
    case.start("contacts")
    case.agree()
    extractor(case).stop()
    put(case, "contact|", "-Z")
    gone = case.dynamics.rows("contacts")[7]["contactid"]
    case.dynamics.delete("contacts", gone)
    change_one(case, 3, "meanwhile")
    case.start("contacts", "extract-dataverse")
    case.agree()
    expect(deletes(case) == [gone], f"{len(deletes(case))} deletes")
    case.each_version_once("crm.contact")


def test_a_checkpoint_that_cannot_be_read_is_not_taken_for_none(case):
    """That would start over, without a word. Nor is one of another table ours."""
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    put(case, "account|", "-Z")
    again(case)
    change_one(case)
    case.agree()
    expect(case.log(extractor(case)).count("full read begins") == 1, "another table's was taken")
    extractor(case).stop()
    put(case, "contact|this is no avro")
    ends(case, "extract-dataverse", "contacts", 100, "the checkpoint at offset")


# ---- leadership ----------------------------------------------------------------------------------

def test_a_leader_that_slept_over_a_page_is_fenced_when_it_writes_it(case):
    """It was frozen between asking for changes and writing them; another one led and wrote them
    meanwhile. What it writes on waking never counts, and it ends with 111."""
    wire = wired(case, 40)
    case.start("contacts")
    case.agree()
    frozen, asleep = extractor(case), []

    @wire.rule
    def _(e):
        if not asleep and e.is_page("contacts") and e.is_delta() and e.json().get("value"):
            frozen.signal(signal.SIGSTOP)
            asleep.append(e.path)
    retitle(case, case.dynamics.rows("contacts"), "slept over")
    case.wait(lambda: asleep, 10, "changes to be asked for")
    case.world_env.stages.remove(frozen)
    case.start("contacts", "extract-dataverse", name="other")
    case.agree()
    frozen.signal(signal.SIGCONT)
    code = frozen.wait(20)
    expect(code == 111, f"it ended with {code}")
    expect("fenced" in case.log(frozen), "it does not say why")
    change_one(case, 1, "awake")
    case.agree()
    case.each_version_once("crm.contact")

"""events - sends, opens, clicks and bounces from Campaign's export files to the timeline: complete,
once, and on time, whatever the files look like and whatever Dynamics answers."""
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import uuid

import reader
from case import expect
from wire import Wire
from world import TOP, topic_keys

KINDS = ("send", "open", "click", "bounce")
FLOW = "email-events"
LABELS_FR = {"values": {
    "status": {"Envoyé": "sent", "Échec": "failed", "En attente": "other", "Diffusion annulée": "other",
               "Ignoré": "other"},
    "failure_type": {"Non défini": "other"},
    "failure_reason": {"Utilisateur inconnu": "bounce", "Domaine invalide": "bounce",
                       "Inaccessible": "bounce", "Compte désactivé": "bounce", "Boîte pleine": "bounce",
                       "Refusé": "bounce", "Non défini": "bounce", "Adresse non définie": "exclusion",
                       "Adresse en liste bloquée": "exclusion", "Adresse en quarantaine": "exclusion",
                       "Doublon": "exclusion", "Règle SQL": "exclusion", "Arbitrage": "exclusion"},
    "url_type": {"Clic e-mail": "click", "Ouverture": "open", "Désinscription": "opt-out",
                 "Page miroir": "mirror-page"},
    "message_type": {"E-mail": "email"}, "test": {"Oui": "yes", "Non": "no"}}}


def events_of(case, **overlay):
    return {"flows": {FLOW: overlay}}


def setup(case, contacts=200, strangers=20, overlay=None, stages=True, **boxes):
    """Contacts are profiles in Campaign; then the contacts flow stops."""
    case.setup("contacts", FLOW, contacts=contacts, strangers=strangers, overlay=overlay, **boxes)
    case.start("contacts")
    case.agree(60)
    for stage in case.stages:
        stage.stop()
    case.world_env.stages.clear()
    if stages:
        case.start(FLOW)


def deliver(case, **what):
    return case.campaign_box.control.request("POST", "/_sandbox/deliver", what)


def export(case, **what):
    return case.campaign_box.control.request("POST", "/_sandbox/export", what)


def advance(case, hours, **export_options):
    return case.campaign_box.control.request(
        "POST", "/_sandbox/advance", {"hours": hours, "export": export_options or True})


def have(case):
    return {k: case.dynamics.count(t + "s") for k, (t, _) in reader.ACTIVITIES.items()}


def agree(case, deadline=40):
    """Every event that a whole file has shown is on the timeline once, and none besides."""
    wrong = ["nothing was compared"]

    def check():
        wrong[:] = reader.compare_events(case.dynamics, case.campaign, exported=True)[2]
        return not wrong
    try:
        case.wait(check, deadline, "the timeline to agree")
    except Exception as e:
        raise type(e)(f"{e}; {len(wrong)} differences: {wrong[:4]}") from None
    once(case)


def once(case):
    keys = [k for _, _, k, _ in topic_keys(case.world_env, case.topic("campaign.email-event"))]
    expect(len(keys) == len(set(keys)), f"{len(keys) - len(set(keys))} events are in the topic twice")


def rejected(case, stage="extract-campaign-logs"):
    return subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t",
                           case.topic(f"rejected.{FLOW}.{stage}"), "-f", "%h\\n"],
                          capture_output=True, text=True, check=True).stdout.splitlines()


def put_file(case, name, text):
    """A file arrives whole, as by rename."""
    path = os.path.join(case.exports, name)
    with open(path + ".part", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.rename(path + ".part", path)


SENDING = ("broadLogId,status,failureType,failureReason,eventDate,profileExternalId,deliveryName,"
           "deliveryLabel,campaignName,campaignLabel,messageType,testProfile\n")
TRACKING = ("trackingLogId,broadLogId,logDate,urlType,urlSource,profileExternalId,deliveryName,"
            "deliveryLabel,campaignName,trackedDevice\n")


def sending(contact, log, status=1, kind=0, reason=0, time="2026-05-01T10:00:00Z", delivery="DM1"):
    return f"{log},{status},{kind},{reason},{time},{contact},{delivery},Spring,SPRING,Spring,0,false\n"


def tracking(contact, log, kind=1, time="2026-05-01T11:00:00Z", delivery="DM1",
             url="https://www.example.com/a?id=7#x"):
    return f"{log},1,{time},{kind},{url},{contact},{delivery},Spring,SPRING,pc\n"


def contacts_of(case):
    return sorted(c["contactid"] for c in case.dynamics.rows("contacts"))


# ---- files --------------------------------------------------------------------------------------

def test_files_in_every_form_that_a_workflow_can_write(case):
    """TAB in Latin-1 with French labels and European dates of Paris, and the same events come out."""
    over = events_of(case, files=dict(LABELS_FR, encoding="iso-8859-1", time_zone="Europe/Paris",
                                      time_format="%d/%m/%Y %H:%M:%S"))
    setup(case, overlay=over)
    deliver(case, name="DM-Été", campaign="ÇA", export=dict(
        separator="\t", encoding="latin-1", enums="label", language="fr", dates="european",
        zone="Europe/Paris", eol="crlf"))
    agree(case)


def test_american_dates_offsets_semicolons_and_gzip(case):
    """Files of two more forms: what names its own zone keeps it."""
    over = events_of(case, files={"time_zone": "America/New_York"})
    setup(case, overlay=over)
    deliver(case, name="DM1", export=dict(separator=";", dates="offset", zone="Asia/Tokyo", gz=True,
                                          bom=True, quote_all=True))
    agree(case)
    deliver(case, name="DM2", export=dict(separator="|", dates="plain", zone="America/New_York"))
    agree(case)


def test_bounces_that_come_days_later_and_statuses_that_flip(case):
    """Late bounces, Sent that becomes Failed and Sent again: one send and one bounce a message."""
    setup(case)
    deliver(case, name="DM1", rates={"late": 0.2, "back": 0.2, "flip": 0.1, "late_open": 0.2},
            export={})
    agree(case)
    for hours in (1, 71, 100, 48):
        advance(case, hours)
        agree(case)
    advance(case, 24 * 14, all=True)
    agree(case)
    expect(have(case)["bounce"] > 20, f"the simulator made no late bounces: {have(case)}")


def test_v8_statuses_are_named_in_the_configuration(case):
    """Status 3 (taken into account) is documented nowhere: it is a dead letter with the code until the
    flow names it, and then a send."""
    setup(case, overlay=events_of(case, files={"values": {"status": {3: "sent"}}}))
    deliver(case, name="DM1", statuses="v8", export={})
    agree(case)
    advance(case, 2)
    agree(case)


def test_unknown_codes_are_dead_letters_and_counted(case):
    """A status that nobody named is a dead letter with file and row, once however often files repeat
    it, and a number in the log; the other rows go on."""
    setup(case)
    deliver(case, name="DM1", rates={"unknown": 0.2}, export={})
    agree(case)
    case.wait(lambda: rejected(case), 10, "dead letters")
    first = len(rejected(case))
    expect(all("tideway-reason=unknown-code" in h or "unknown-code" in h for h in rejected(case)),
           str(rejected(case)[:2]))
    export(case, all=True)
    case.wait(lambda: case.log(extractor(case)).count("file read") >= 4, 20, "the repeated files")
    agree(case)
    expect(len(rejected(case)) == first, f"{first} dead letters became {len(rejected(case))}")
    told = re.findall(r"unknown_codes=(\d+)", case.log(extractor(case)))
    expect(int(told[-1]) == first, f"{told[-1]} unknown codes told, {first} dead letters")


def extractor(case):
    return [s for s in case.stages if s.program == "extract-campaign-logs"][-1]


def test_files_that_grow_are_taken_when_they_are_whole(case):
    """A file that grows is not read before it has been still for a poll."""
    setup(case, overlay=events_of(case, poll="700ms"))
    deliver(case, name="DM1", export={"steps": 5})
    for _ in range(4):
        case.campaign_box.control.request("POST", "/_sandbox/export/continue")
    agree(case)
    expect(not rejected(case), f"a growing file was rejected: {rejected(case)[:2]}")


def test_a_file_that_goes_on_growing_after_it_was_read(case):
    """Rows that are added to a file that was read are taken, and only those."""
    setup(case)
    some = contacts_of(case)[:4]
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(some[0], 1) + sending(some[1], 2))
    case.wait(lambda: have(case)["send"] == 2, 20, "two sends")
    with open(os.path.join(case.exports, "acs_broadlog_1.csv"), "a", encoding="ascii") as f:
        f.write(sending(some[2], 3) + sending(some[3], 4))
    case.wait(lambda: have(case)["send"] == 4, 20, "four sends")
    expect("another file" not in case.log(extractor(case)), "it was taken for another file")
    expect(re.findall(r"repeated=(\d+)", case.log(extractor(case)))[-1] == "0", "rows were read twice")


def test_the_same_name_with_another_content(case):
    """A file that is uploaded again with other rows is read from its beginning, also when it has the
    same size; one that is only touched is not."""
    setup(case)
    some = contacts_of(case)[:6]
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(some[0], 1) + sending(some[1], 2))
    case.wait(lambda: have(case)["send"] == 2, 20, "two sends")
    path = os.path.join(case.exports, "acs_broadlog_1.csv")
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(some[2], 3) + sending(some[3], 4))
    os.utime(path, (1700000000, 1700000000))  # the server's listing shows minutes
    case.wait(lambda: have(case)["send"] == 4, 20, "four sends")
    os.utime(path, (1600000000, 1600000000))
    case.wait(lambda: case.log(extractor(case)).count("file read") >= 3, 20, "the touched file")
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(some[4], 5))
    os.utime(path, (1500000000, 1500000000))
    case.wait(lambda: have(case)["send"] == 5, 20, "five sends")
    once(case)


def test_empty_truncated_and_renamed_files(case):
    """An empty file waits, a truncated one gives what is whole and the rest when it is replaced, a
    renamed one is known by its events."""
    setup(case)
    deliver(case, name="DM1", export={"names": {"sending": "acs_broadlog_a.csv",
                                                "tracking": "acs_tracking_a.csv.gz"},
                                      "truncate": 0.6, "gz": True})
    case.wait(lambda: "cut" in "".join(rejected(case)), 20, "the cut to be said")
    export(case, names={"sending": "acs_broadlog_a.csv", "tracking": "acs_tracking_a.csv.gz"}, gz=True,
           all=True)
    agree(case)
    before = have(case)
    put_file(case, "acs_broadlog_b.csv", b"")
    os.rename(os.path.join(case.exports, "acs_broadlog_a.csv"),
              os.path.join(case.exports, "acs_broadlog_c.csv"))
    case.wait(lambda: "acs_broadlog_c.csv" in case.log(extractor(case)), 20, "the renamed file")
    deliver(case, name="DM2", export={})
    agree(case)
    expect(have(case)["send"] > before["send"], "the next delivery did not come")


def test_files_out_of_order_and_overlapping(case):
    """Shuffled rows, overlapping windows, and a file whose name sorts before those that were read."""
    setup(case)
    deliver(case, name="DM1", export={"order": "shuffled", "late_rows": 0.5})
    agree(case)
    export(case, names={"sending": "acs_broadlog_0.csv", "tracking": "acs_tracking_0.csv"},
           overlap_hours=48, order="shuffled")
    agree(case)
    for _ in range(3):
        export(case, all=True, order="shuffled")
    agree(case)


def test_a_wrong_file_is_refused_and_the_others_go_on(case):
    """A file that is no export is refused whole with what is wrong, once; files behind it are read."""
    setup(case)
    put_file(case, "acs_broadlog_0.csv", "a,b,c\n1,2,3\n")
    put_file(case, "acs_broadlog_1.csv.gz", gzip.compress(b"x" * 100000)[:60] + b"garbage" * 20)
    put_file(case, "readme.txt", "not ours\n")
    deliver(case, name="DM1", export={})
    agree(case)
    case.wait(lambda: len(rejected(case)) >= 2, 10, "both to be refused")
    text = "".join(rejected(case))
    expect("no column" in text, text)
    expect(len(rejected(case)) == 2, f"refused more than once: {text}")


def test_thousands_of_files(case):
    """3,000 small files are read, each once, in the order of their names; the directory is not listed
    for each of them."""
    setup(case, stages=False)
    some = contacts_of(case)
    for i in range(3000):
        put_file(case, f"acs_broadlog_{i:05}.csv", SENDING + sending(some[i % len(some)], i))
    case.start(FLOW, "extract-campaign-logs")
    case.wait(lambda: case.log(extractor(case)).count("file read") >= 3000, 100, "3,000 files")
    keys = [k for _, _, k, _ in topic_keys(case.world_env, case.topic("campaign.email-event"))]
    expect(len(keys) == 3000 and len(set(keys)) == 3000, f"{len(keys)} events")


def test_processed_files_are_moved_or_deleted(case):
    """`processed: move` puts what is done into a folder, also a second file of the same name; a refused
    file stays; `delete` deletes."""
    setup(case, overlay=events_of(case, files={"processed": "move", "processed_folder": "done"}))
    some = contacts_of(case)[:3]
    done = os.path.join(case.exports, "done")
    put_file(case, "acs_broadlog_0.csv", "no export\n")
    for i in range(2):
        put_file(case, "acs_broadlog_1.csv", SENDING + sending(some[i], i + 1))
        case.wait(lambda n=i: os.path.isdir(done) and len(os.listdir(done)) == n + 1, 20, "the move")
    case.wait(lambda: have(case)["send"] == 2, 20, "the sends")
    expect(sorted(f for f in os.listdir(case.exports) if f != "done") == ["acs_broadlog_0.csv"],
           str(os.listdir(case.exports)))
    extractor(case).stop()
    case.configure(events_of(case, files={"processed": "delete"}))
    case.start(FLOW, "extract-campaign-logs", name="deletes")
    put_file(case, "acs_broadlog_2.csv", SENDING + sending(some[2], 3))
    case.wait(lambda: not os.path.exists(os.path.join(case.exports, "acs_broadlog_2.csv")), 20,
              "the file to be deleted")
    case.wait(lambda: have(case)["send"] == 3, 20, "its send")


def test_a_local_directory_does_as_well(case):
    """file:// reads, moves and deletes like SFTP."""
    setup(case, stages=False)
    case.env["CAMPAIGN_LOGS_URL"] = "file://" + case.exports
    case.configure(events_of(case, files={"processed": "move"}))
    case.start(FLOW)
    deliver(case, name="DM1", export={"gz": True})
    agree(case)
    case.wait(lambda: os.listdir(case.exports) == ["processed"], 20, "the files to be moved")


# ---- restarts -----------------------------------------------------------------------------------

def test_kills_at_any_moment_lose_and_double_nothing(case):
    """Every stage is killed again and again while deliveries overlap by half: every event is there
    once, and the extractor's topic has each once."""
    setup(case, contacts=400)
    for number in range(4):
        deliver(case, name=f"DM{number}", export={"repeat": 0.5})
        for program in ("extract-campaign-logs", "transform-marketing-event", "load-dataverse"):
            stage = next(s for s in case.stages if s.program == program and s.running())
            stage.kill()
            case.start(FLOW, program, name=f"{program}.{number}")
    export(case, all=True)
    agree(case, 90)


def test_the_server_goes_away_in_the_middle_of_a_file(case):
    """The SFTP connection is cut while a large file is read: what was read stays, the rest follows, and
    no event is there twice."""
    setup(case, stages=False)
    some = contacts_of(case)
    put_file(case, "acs_broadlog_1.csv",
             SENDING + "".join(sending(some[i % len(some)], i) for i in range(150000)))
    stage = case.start(FLOW, "extract-campaign-logs")
    topic = case.topic("campaign.email-event")
    case.wait(lambda: len(topic_keys(case.world_env, topic)) > 0, 30, "the first events")
    cut = 0
    for pid in subprocess.run(["pgrep", "-f", "internal-sftp|sftp-server|sshd: .*@notty"],
                              capture_output=True, text=True, check=False).stdout.split():
        if descends(int(pid), case):
            os.kill(int(pid), signal.SIGKILL)
            cut += 1
    expect(cut, "no SFTP session was found")
    case.wait(lambda: "file read" in case.log(stage), 60, "the file to be read")
    keys = [k for _, _, k, _ in topic_keys(case.world_env, topic)]
    expect(len(keys) == len(set(keys)) == 150000, f"{len(keys)} events, {len(set(keys))} of them differ")


def descends(pid, case):
    """Is the process a child of this world's sshd?"""
    with open(case.world.path("pids", "sftp.pid"), encoding="ascii") as f:
        sshd = int(f.read())
    for _ in range(6):
        if pid == sshd:
            return True
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                pid = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False


def test_at_most_n_of_a_contact_and_delivery_survives_a_restart(case):
    """`at_most: 1` keeps the first open of a contact and delivery, also when the extractor is killed
    between the first and the second."""
    over = events_of(case, activities={"open": {"at_most": 1}, "click": {"at_most": 2}})
    setup(case, overlay=over)
    a, b = contacts_of(case)[:2]
    put_file(case, "acs_tracking_1.csv", TRACKING + tracking(a, 1, 2) + tracking(a, 2, 2) +
             tracking(b, 3, 2) + tracking(a, 4, 1) + tracking(a, 5, 2, delivery="DM2"))
    case.wait(lambda: (have(case)["open"], have(case)["click"]) == (3, 1), 20, "three opens, a click")
    stage = extractor(case)
    stage.kill()
    case.start(FLOW, "extract-campaign-logs", name="again")
    put_file(case, "acs_tracking_2.csv", TRACKING + "".join(
        tracking(a, n, 2) for n in range(10, 20)) + "".join(tracking(a, n, 1) for n in range(20, 25)))
    case.wait(lambda: "acs_tracking_2.csv" in case.log(extractor(case)), 20, "the second file")
    case.wait(lambda: have(case)["click"] == 2, 20, "the second click")
    case.wait(lambda: len(case.messages("campaign.email-event")) == 20, 20, "all 20 events")
    case.drained(FLOW, "transform-marketing-event")
    case.drained(FLOW, "load-dataverse")
    expect((have(case)["open"], have(case)["click"]) == (3, 2), f"{have(case)}")


# ---- the row ------------------------------------------------------------------------------------

def test_strict_privacy_keeps_queries_and_mirror_pages_out_of_dynamics(case):
    """`privacy: strict`: no mirror page, also not as what was clicked, nothing behind ? or # of a URL, also
    where it stands for the label, and no answer of a mail server, which names the address."""
    columns = {"mirror_url": "mirrorPageUrl"}
    mirror = {k: {"mirror_url": "adobe_mirrorpageurl"} for k in KINDS}
    mirror["click"] = {"url_label": "adobe_mirrorpageurl"}
    mirror["bounce"] = {"failure_text": "adobe_mirrorpageurl"}
    columns["failure_text"] = "errorText"
    setup(case, stages=False)
    case.configure(events_of(case, privacy="strict", activities=mirror, clicks=["links", "mirror-page"],
                             files={"sending": {"columns": columns},
                                    "tracking": {"columns": {"url_label": "urlLabel"}}}))
    case.start(FLOW)
    a = contacts_of(case)[0]
    put_file(case, "acs_tracking_1.csv", TRACKING.rstrip() + ",urlLabel\n" + tracking(a, 1).rstrip() +
             ",https://www.example.com/a?email=ann@example.com\n" +
             tracking(a, 2, kind=6, url="https://m.example.com/m/2").rstrip() + ",Mirror page\n")
    put_file(case, "acs_broadlog_1.csv", SENDING.rstrip() + ",mirrorPageUrl,errorText\n" +
             sending(a, 2).rstrip() + ",https://m.example.com/?id=2,\n" +
             sending(a, 3, status=2, kind=2, reason=1).rstrip() + ",,550 <ann@example.com> unknown\n")
    case.wait(lambda: (have(case)["click"], have(case)["send"], have(case)["bounce"]) == (2, 1, 1), 20, "all")
    clicks = sorted((c["adobe_trackingurl"] or "", c["adobe_mirrorpageurl"])
                    for c in case.dynamics.rows("adobe_emailurlclicks"))
    expect(clicks == [("", "Mirror page"), ("https://www.example.com/a", "https://www.example.com/a")],
           str(clicks))
    expect(not case.dynamics.rows("adobe_emailbounces")[0]["adobe_mirrorpageurl"], "the answer of the server")
    expect(not case.dynamics.rows("adobe_emailsends")[0]["adobe_mirrorpageurl"], "a mirror page")


def test_mirror_pages_and_full_urls_come_where_they_are_wanted(case):
    """Without the switch both are there, as exported."""
    setup(case, stages=False)
    case.configure(events_of(case, activities={"send": {"mirror_url": "adobe_mirrorpageurl"}},
                             files={"sending": {"columns": {"mirror_url": "mirrorPageUrl"}}}))
    case.start(FLOW)
    a = contacts_of(case)[0]
    put_file(case, "acs_tracking_1.csv", TRACKING + tracking(a, 1))
    put_file(case, "acs_broadlog_1.csv", SENDING.rstrip() + ",mirrorPageUrl\n" +
             sending(a, 2).rstrip() + ",https://m.example.com/?id=2\n")
    case.wait(lambda: have(case)["click"] == 1 and have(case)["send"] == 1, 20, "both")
    expect(case.dynamics.rows("adobe_emailurlclicks")[0]["adobe_trackingurl"] ==
           "https://www.example.com/a?id=7#x", "the URL was cut")
    expect(case.dynamics.rows("adobe_emailsends")[0]["adobe_mirrorpageurl"] ==
           "https://m.example.com/?id=2", "no mirror page")


# ---- loading ------------------------------------------------------------------------------------

def requests_of(case, *parts):
    return {(r, m, s): n for r, m, s, n in case.dynamics_box.requests() if any(p in r for p in parts)}


def test_activities_are_completed_at_creation(case):
    """Where the table takes a state at creation, each row is written by one call and is completed."""
    setup(case)
    deliver(case, name="DM1", export={})
    agree(case)
    rows = case.dynamics.rows("adobe_emailsends")
    expect(rows and all(r["statecode"] == 1 and r["statuscode"] == 2 for r in rows), "not completed")
    expect(not requests_of(case, "UpdateMultiple"), "a second call was made")


def without_state(case):
    """Data files of the tables in which statecode is not valid for create."""
    folder = os.path.join(case.world.folder, "tables", case.name)
    shutil.copytree(os.path.join(TOP, "tests/sandbox/dataverse/tables"), folder)
    for table, _ in reader.ACTIVITIES.values():
        path = os.path.join(folder, table + ".json")
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        data["columns"]["statecode"]["validForCreate"] = False
        with open(path, "w", encoding="utf-8") as f:
            json.dump(data, f)
    return folder


def test_activities_are_completed_in_a_second_call_where_they_must_be(case):
    """Where the table takes no state at creation, a second bulk call completes the rows."""
    setup(case, dynamics=("--tables", without_state(case)))
    deliver(case, name="DM1", export={})
    agree(case)
    rows = case.dynamics.rows("adobe_emailsends")
    expect(rows and all(r["statecode"] == 1 for r in rows), "not completed")
    expect(requests_of(case, "UpdateMultiple"), "how was it completed?")


def test_tables_without_bulk_messages_get_a_batch(case):
    """Without UpsertMultiple the rows go by $batch, and the bad ones are told apart in it."""
    tables = [o for t, _ in reader.ACTIVITIES.values() for o in ("--no-bulk", t)]
    setup(case, dynamics=tables, overlay=events_of(case, orphan_after="3s"))
    deliver(case, name="DM1", export={})
    agree(case)
    expect(requests_of(case, "$batch"), "no $batch was made")
    expect(not [k for k in requests_of(case, "Multiple") if k[2] == 204], "a bulk call succeeded")
    case.dynamics.delete("contacts", contacts_of(case)[0])
    gone = str(uuid.uuid4())
    put_file(case, "acs_broadlog_z.csv", SENDING + sending(gone, 900001) +
             sending(contacts_of(case)[1], 900002))
    case.wait(lambda: rejected(case, "load-dataverse"), 30, "the dead letter")
    text = "".join(rejected(case, "load-dataverse"))
    expect("contact_gone" in text and gone in text, text)


def test_contacts_that_are_gone_are_taken_out_and_wait(case):
    """Of 1,000 rows 40 name contacts that do not exist: the others are written with a few calls, the 40
    wait, those whose contact comes are written, and the rest become contact_gone with the key."""
    setup(case, contacts=60, stages=False, overlay=events_of(case, orphan_after="12s"))
    case.start(FLOW, "extract-campaign-logs", "transform-marketing-event")
    some, gone = contacts_of(case), [str(uuid.UUID(int=n + (4 << 76) + (8 << 60))) for n in range(40)]
    rows = [sending(some[n % len(some)], n) for n in range(960)]
    for n, contact in enumerate(gone):
        rows.insert(n * 20, sending(contact, 5000 + n))
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(rows))
    case.wait(lambda: len(case.messages("crm.email-activity")) == 1000, 30, "1,000 activities")
    case.dynamics_box.clear()
    case.start(FLOW, "load-dataverse")
    case.wait(lambda: have(case)["send"] == 960, 30, "960 rows")
    calls = sum(requests_of(case, "UpsertMultiple").values())
    expect(calls <= 32, f"{calls} calls for 1,000 rows")
    case.dynamics.request("PATCH", f"/contacts({gone[0]})", {"lastname": "Late"})
    case.wait(lambda: have(case)["send"] == 961, 20, "the one whose contact came")
    case.wait(lambda: len(rejected(case, "load-dataverse")) == 39, 40, "39 dead letters")
    text = "".join(rejected(case, "load-dataverse"))
    expect(all(g in text for g in gone[1:]) and gone[0] not in text and
           text.count("contact_gone") >= 39, text[:500])
    case.drained(FLOW, "load-dataverse")


def test_parked_events_survive_a_kill(case):
    """Events that wait for their contact are still there after the loader was killed."""
    setup(case, overlay=events_of(case, orphan_after="30s"))
    late = str(uuid.uuid4())
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(late, 1) + sending(contacts_of(case)[0], 2))
    case.wait(lambda: have(case)["send"] == 1, 20, "the other one")
    case.wait(lambda: topic_keys(case.world_env, case.topic("parked.email-activity")), 20, "parking")
    case.drained(FLOW, "load-dataverse")
    loader = case.stages[-1]
    loader.kill()
    case.dynamics.request("PATCH", f"/contacts({late})", {"lastname": "Late"})
    case.start(FLOW, "load-dataverse", name="again")
    case.wait(lambda: have(case)["send"] == 2, 30, "the event that waited")


def test_one_bad_row_among_a_thousand_is_found_by_halves(case):
    """A row that Dynamics refuses for its content stands alone after at most 2 log2(n) calls."""
    setup(case, contacts=60, stages=False, overlay=events_of(case, since="1600-01-01T00:00:00Z"))
    case.start(FLOW, "extract-campaign-logs", "transform-marketing-event")
    some = contacts_of(case)
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(
        sending(some[n % len(some)], n, time="1700-01-01T00:00:00Z" if n == 613 else
                "2026-05-01T10:00:00Z") for n in range(1000)))
    case.wait(lambda: len(case.messages("crm.email-activity")) == 1000, 30, "the activities")
    case.dynamics_box.clear()
    case.start(FLOW, "load-dataverse")
    case.wait(lambda: have(case)["send"] == 999, 30, "999 rows")
    calls = requests_of(case, "UpsertMultiple")
    refused = sum(n for (_, _, status), n in calls.items() if status == 400)
    expect(1 <= refused <= 10, f"refused {refused} times: {calls}")
    case.wait(lambda: len(rejected(case, "load-dataverse")) == 1, 10, "the dead letter")


def test_protection_limits_are_obeyed(case):
    """Each of the three limits: 429 with Retry-After is waited for, nothing is lost or rejected."""
    setup(case, contacts=300, dynamics=("--limit-concurrent", "2"))
    case.dynamics_box.fault(path="*UpsertMultiple*", status=429, headers={"Retry-After": "1"},
                            body='{"error":{"code":"0x80072322","message":"Number of requests exceeded '
                            'the limit of 6000 over time window of 300 seconds."}}', count=2)
    case.dynamics_box.fault(path="*UpsertMultiple*", status=429, headers={"Retry-After": "1"},
                            body='{"error":{"code":"0x80072321","message":"Combined execution time of '
                            'incoming requests exceeded limit"}}', count=2)
    for n in range(3):
        deliver(case, name=f"DM{n}", export={})
    agree(case, 60)
    expect(not rejected(case, "load-dataverse"), "a record was rejected")


def test_parallelism_follows_the_hint(case):
    """x-ms-dop-hint of the server bounds the requests at a time."""
    setup(case)
    deliver(case, name="DM1", export={})
    agree(case)
    log = case.log(next(s for s in case.stages if s.program == "load-dataverse"))
    told = re.search(r"parallel requests.*at_most=(\d+) hint=(\d+)", log)
    expect(told and told[1] == told[2] and int(told[2]) > 0, log[:800])


def test_custom_logic_is_bypassed_only_where_the_flow_says_so(case):
    """bypass_logic: all sends MSCRM.BypassBusinessLogicExecution, and only to Dynamics' rows."""
    setup(case, stages=False)
    wire = Wire(case.world.base + 50 + case.slot, case.dynamics_port)
    case.sandboxes.append(wire)
    case.world_env.env = dict(case.env, DATAVERSE_URL=wire.url,
                              DATAVERSE_TOKEN_URL=f"{wire.url}/sandbox/oauth2/v2.0/token")
    case.configure(events_of(case, bypass_logic="all"))
    case.start(FLOW)
    deliver(case, name="DM1", export={})
    agree(case)
    name = "MSCRM.BypassBusinessLogicExecution"
    with wire.lock:
        writes = [e.headers.get(name) for e in wire.seen if "UpsertMultiple" in e.path]
        others = [e.path for e in wire.seen if "UpsertMultiple" not in e.path and name in e.headers]
    expect(writes and set(writes) == {"CustomSync,CustomAsync"} and not others, f"{writes} {others}")


def test_events_of_merged_contacts_go_to_the_winner(case):
    """The events of a contact that lost a merge come to the winner's timeline, also when the merge was
    only just now, and when the winner lost another one."""
    setup(case)
    a, b, c = contacts_of(case)[:3]

    def merge(winner, loser):
        case.dynamics.request("POST", "/Merge", {
            "Target": {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": winner},
            "Subordinate": {"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": loser},
            "PerformParentingChecks": False})
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(c, 0))
    case.wait(lambda: have(case)["send"] == 1, 20, "a send before the merge")
    merge(b, a)
    merge(c, b)
    put_file(case, "acs_broadlog_2.csv", SENDING + sending(a, 1) + sending(b, 2) + sending(c, 3))
    case.wait(lambda: have(case)["send"] == 4, 20, "four sends")
    owners = {r["_regardingobjectid_value"] for r in case.dynamics.rows("adobe_emailsends")}
    expect(owners == {c}, f"regarding {owners}, the winner is {c}")


def test_rows_per_day_hold_back_and_drop_nothing(case):
    """With 100 rows a day 100 come, the rest waits in the topic, also across a restart; without the
    limit all come."""
    setup(case, overlay=events_of(case, rows_per_day=100))
    some = contacts_of(case)
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(
        sending(some[n % len(some)], n) for n in range(400)))
    case.wait(lambda: have(case)["send"] >= 100, 30, "100 rows")
    case.wait(lambda: "rows_per_day is reached" in case.log(case.stages[-1]), 20, "it to be said")
    case.stages[-1].stop()
    case.start(FLOW, "load-dataverse", name="next")
    case.wait(lambda: "rows_per_day is reached" in case.log(case.stages[-1]), 30, "it to be said again")
    expect(have(case)["send"] <= 104, f"{have(case)} rows with a limit of 100")
    case.stages[-1].stop()
    case.configure()
    case.start(FLOW, "load-dataverse", name="last")
    case.wait(lambda: have(case)["send"] == 400, 30, "the rest")


def test_a_cut_over_doubles_nothing_that_is_there(case):
    """Rows of another application around T: the same contact, delivery, kind and second is not
    written again; what it did not write is; behind the window nothing is compared."""
    setup(case, stages=False)
    a, b = contacts_of(case)[:2]
    times = {1: "2026-05-01T09:59:30Z", 2: "2026-05-01T10:00:30Z", 3: "2026-05-01T15:00:00Z"}
    for n in (1, 2, 3):  # theirs: ids of their own
        case.dynamics.create("adobe_emailsends", {
            "subject": "Campaign Name: SPRING; Delivery Name: DM1", "adobe_senton": times[n],
            "adobe_campaignname": "SPRING", "adobe_deliveryname": "DM1",
            "regardingobjectid_contact_adobe_emailsend@odata.bind": f"/contacts({a})"})
    case.configure(events_of(case, since="2026-05-01T09:00:00Z", cutover="2026-05-01T10:00:00Z",
                             cutover_window="1h"))
    case.start(FLOW)
    put_file(case, "acs_broadlog_1.csv", SENDING + "".join(
        sending(a, n, time=t) for n, t in times.items()) + sending(b, 4, time=times[1]) +
        sending(a, 5, time=times[1], delivery="DM2"))
    case.wait(lambda: have(case)["send"] == 6, 20, "three of theirs, three of ours")
    case.drained(FLOW, "load-dataverse")
    expect(have(case)["send"] == 6, f"{have(case)}")
    at = [r["adobe_senton"] for r in case.dynamics.rows("adobe_emailsends")
          if r["_regardingobjectid_value"] == a and r["adobe_deliveryname"] == "DM1"]
    expect(sorted(at).count("2026-05-01T09:59:30Z") == 1 and at.count("2026-05-01T10:00:30Z") == 1 and
           at.count("2026-05-01T15:00:00Z") == 2, str(at))


def test_freshness_is_measured(case):
    """How old events are when they are on the timeline is told, as shares."""
    setup(case)
    deliver(case, name="DM1", export={})
    agree(case)
    loader = case.stages[-1]
    loader.stop()
    told = re.search(r"msg=freshness p50_ms=(\d+) p99_ms=(\d+) max_ms=(\d+)",
                     case.log(loader))
    expect(told and int(told[1]) <= int(told[2]) <= int(told[3]), case.log(loader)[-500:])


def test_since_must_be_given(case):
    """Without `since` nothing starts."""
    case.setup("contacts", contacts=5)
    case.configure(base=None, overlay=events_of(case, since=None))
    code, _, err = case.tideway("check", "--offline", check=False)
    expect(code == 100 and "since" in err, f"{code} {err}")


def test_install_makes_the_tables_that_are_not_there(case):
    """`tideway install dataverse` on an environment without the tables: --dry-run changes nothing, the
    command makes them, the timeline fills, and a second run finds everything there; a column of a
    wrong type and a privilege that is missing are named."""
    folder = os.path.join(case.world.folder, "tables", case.name)
    shutil.copytree(os.path.join(TOP, "tests/sandbox/dataverse/tables"), folder)
    for table, _ in reader.ACTIVITIES.values():
        os.unlink(os.path.join(folder, table + ".json"))
    setup(case, stages=False, dynamics=("--tables", folder))
    metadata = os.path.join(case.world.folder, "metadata", case.name)
    shutil.copytree(os.path.join(TOP, "deploy/metadata"), metadata)
    case.configure({"metadata": metadata})
    code, out, err = case.tideway("install", "dataverse", "--flow", FLOW, "--dry-run", check=False)
    expect(code == 0 and out.count("POST ") == 5 and "adobe_emailurlclick" in out, f"{code} {out} {err}")
    tables = {t["LogicalName"] for t in
              case.dynamics.request("GET", "/EntityDefinitions?$select=LogicalName")["value"]}
    expect(not [t for t in tables if t.startswith("adobe_")], f"--dry-run made {tables}")
    out = case.tideway("install", "dataverse")[1]
    expect(out.count("is made") == 4, out)
    out = case.tideway("install", "dataverse")[1]
    expect(out.count("is there, with every column") == 4 and "is made" not in out, out)
    case.tideway("metadata", "pull")
    case.start(FLOW)
    deliver(case, name="DM1", export={})
    agree(case)
    case.configure({"metadata": metadata, "flows": {FLOW: {"activities": {
        "send": {"time": "subject", "device": "adobe_devicename"}}}}})
    code, out, err = case.tideway("install", "dataverse", "--flow", FLOW, check=False)
    expect(code == 1 and "adobe_emailsend.subject is" in err and "adobe_devicename is made" in out,
           f"{code} {out} {err}")
    case.dynamics_box.control.request("POST", "/_sandbox/privileges", {"deny": ["prvReadContact"]})
    code, _, err = case.tideway("install", "dataverse", "--flow", FLOW, check=False)
    expect(code == 1 and "contact cannot be read" in err, f"{code} {err}")


def test_install_names_the_privileges_that_are_missing(case):
    """`tideway install dataverse` tells which privileges the application user lacks for writing, without
    writing: each of them stops the loader when it is not there."""
    case.setup("contacts", FLOW, contacts=5)
    code, out, err = case.tideway("install", "dataverse", "--flow", FLOW, check=False)
    expect(code == 0 and "may do what the flows need" in out and not err, f"{code} {out} {err}")
    for name in ("prvCreateActivity", "prvReadActivity", "prvWriteActivity", "prvAppendActivity",
                 "prvAppendToContact"):
        case.dynamics_box.control.request("POST", "/_sandbox/privileges", {"deny": [name]})
        code, out, err = case.tideway("install", "dataverse", "--flow", FLOW, check=False)
        expect(code == 1 and f"lacks {name}" in err and "may do" not in out, f"{name}: {code} {out} {err}")
    expect(err.count("lacks") == 1, err)
    expect(not sum(have(case).values()), "it wrote in order to find out")
    case.configure(events_of(case, bypass_logic="all"))
    case.dynamics_box.control.request("POST", "/_sandbox/privileges",
                                      {"deny": ["prvBypassCustomBusinessLogic"]})
    code, out, err = case.tideway("install", "dataverse", "--flow", FLOW, check=False)
    expect(code == 1 and "prvBypassCustomBusinessLogic" in err, f"{code} {out} {err}")
    case.dynamics_box.control.request("POST", "/_sandbox/privileges", {"deny": []})
    case.dynamics_box.control.request("POST", "/_sandbox/restrict",
                                      {"table": "contact", "fraction": 1, "level": "user"})
    code, out, err = case.tideway("install", "dataverse", "--flow", FLOW, check=False)
    expect(code == 1 and "prvReadContact at the depth Local" in err, f"{code} {out} {err}")

"""failures - what is broken is said clearly, with the right exit code; what can heal heals, and
nothing is lost on the way."""
import json
import os
import re
import shutil
import signal
import subprocess

from case import STAGES, expect, strict
from world import BUILD, TOP, topic_keys, wait_until

SAVED = os.path.join(TOP, "deploy/metadata")


def ends(case, program, flow, code, *words, deadline=40):
    """The stage ends by itself with this code, and says all the words."""
    stage = case.start(flow, program)
    case.world_env.stages.remove(stage)
    wait_until(lambda: not stage.running(), deadline, f"{program} to end")
    log = case.log(stage)
    expect(stage.process.returncode == code,
           f"{program} ended with {stage.process.returncode}, not {code}:\n{log}")
    for word in words:
        expect(word in log, f"{program} does not say {word!r}:\n{log}")
    expect(f"exit={code}" in log or code == 100, f"the log has no exit={code}")
    os.unlink(case.world.log(stage.name))


def started(case, stage):
    case.wait(lambda: "msg=started" in case.log(stage), 15, f"{stage.name} to start")
    return stage


def test_a_broken_configuration_ends_with_100(case):
    """Unknown keys, wrong types, missing variables and mappings that cannot be: file, line and
    column, exit 100, from the stages and from `tideway check`."""
    case.setup(contacts=1)
    with open(os.path.join(TOP, "deploy/tideway.yaml"), encoding="utf-8") as f:
        good = f.read()

    def broken(old, new, *words):
        expect(old in good, f"{old!r} is not in tideway.yaml")
        path = case.world.write(f"config/{case.name}-broken.yaml",
                                good.replace(old, new, 1).replace("metadata: metadata",
                                                                  f"metadata: {SAVED}"))
        line = good[:good.index(old)].count("\n") + 1
        case.config = [path]
        code, _, err = case.tideway("check", check=False)
        expect(code == 100, f"check of {new!r} gave {code}: {err}")
        for word in words + (f"-broken.yaml:{line}:",):
            expect(word in err, f"check of {new!r} does not say {word!r}: {err}")
        ends(case, "transform-contact", "contacts", 100, f"-broken.yaml:{line}:")
    broken("    deletes: apply", "    deleets: apply", "deleets")
    broken("    poll: 60s", "    poll: soon", "poll")
    broken("from: firstname, ", "from: forename, ", "forename")
    broken("to: firstName, ", "to: firstname, ", "firstname")
    broken("bootstrap.servers: ${KAFKA_BROKERS}", "bootstrap.servers: ${NO_SUCH}", "NO_SUCH")
    broken("{from: birthdate,         to: birthDate}", "{from: birthdate,         to: cusChildren}",
           "birthdate")
    broken("{from: donotfax,          to: blackListFax}",
           "{from: donotfax, to: blackListFax, default: false}", "blackListFax")
    broken("name: tideway", "name: Tide Way", "name")
    case.config = ["/nowhere/tideway.yaml"]
    ends(case, "load-campaign", "contacts", 100, "/nowhere/tideway.yaml")
    case.configure()
    ends(case, "load-campaign", "no-such-flow", 100, "no-such-flow")
    ends(case, "load-campaign", "email-events", 100, "load-dataverse")


def test_what_is_away_ends_with_111(case):
    """Broker, registry, Dynamics and Campaign that do not answer at the start: 111, and who."""
    case.setup("contacts", contacts=1)
    nobody = "127.0.0.1:1"
    good = dict(case.world_env.env)

    def away(**env):
        case.world_env.env = dict(good, **env)
    away(KAFKA_BROKERS=nobody)
    for program in STAGES["contacts"]:
        ends(case, program, "contacts", 111, nobody)
    code, _, err = case.tideway("status", check=False)
    expect(code == 111 and nobody in err, f"status without a broker: {code} {err}")
    away(REGISTRY_URL=f"http://{nobody}")
    for program in STAGES["contacts"][:2]:
        ends(case, program, "contacts", 111, nobody)
    away(DATAVERSE_URL=f"http://{nobody}", DATAVERSE_TOKEN_URL=f"http://{nobody}/token")
    ends(case, "extract-dataverse", "contacts", 111, nobody)
    away(CAMPAIGN_URL=f"http://{nobody}/acme/campaign", CAMPAIGN_TOKEN_URL=f"http://{nobody}/token")
    ends(case, "load-campaign", "contacts", 111, nobody)


def test_wrong_credentials_end_with_100(case):
    """A wrong secret, a wrong client id and a wrong SFTP key are not tried again."""
    case.setup("contacts", "email-events", contacts=1)
    good = dict(case.world_env.env)
    case.world_env.env = dict(good, DATAVERSE_CLIENT_SECRET="wrong-secret-value")
    ends(case, "extract-dataverse", "contacts", 100, "invalid_client")
    case.configure({"metadata": case.world.path("metadata", "x")[:-2]})
    for file in os.listdir(SAVED):
        shutil.copy(os.path.join(SAVED, file), case.world.path("metadata", file))
    case.world_env.env = dict(good, CAMPAIGN_CLIENT_SECRET="wrong-secret-value")
    ends(case, "load-campaign", "contacts", 100, "invalid_client")
    code, out, err = case.tideway("metadata", "pull", check=False)
    expect(code in (100, 111) and "wrong-secret-value" not in out + err,
           f"metadata pull with a wrong secret: {code} {out}{err}")
    for file in os.listdir(SAVED):
        with open(os.path.join(SAVED, file), encoding="utf-8") as a, \
                open(case.world.path("metadata", file), encoding="utf-8") as b:
            expect(a.read() == b.read(), f"a pull that failed changed {file}")
    case.world_env.env = good
    key = case.world.path("config", f"{case.name}.key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    case.world_env.env = dict(good, CAMPAIGN_LOGS_KEY=key)
    ends(case, "extract-campaign-logs", "email-events", 100, "sftp")
    with open(key + ".pub", encoding="ascii") as f:
        other = f.read().split()
    port = case.world.base + 3
    hosts = case.world.write(f"config/{case.name}.hosts", f"[127.0.0.1]:{port} {other[0]} {other[1]}\n")
    case.world_env.env = dict(good, CAMPAIGN_LOGS_HOST_KEY=hosts)
    ends(case, "extract-campaign-logs", "email-events", 100, "host")


def test_topics_that_are_missing_or_mis_set_end_with_100(case):
    """A stage names the topic and what is wrong; `topics create` makes what is missing only."""
    case.setup(contacts=1)
    ends(case, "transform-contact", "contacts", 100, case.topic("crm.contact"), "topics create")
    topics(case, "--create", "--topic", case.topic("crm.contact"), "--partitions", "4",
           "--config", "cleanup.policy=delete", "--config", "retention.ms=1000")
    code, out, _ = case.tideway("topics", "create", "--flow", "contacts", check=False)
    expect(code == 100 and "MIS-SET" in out, f"topics create: {code} {out}")
    ends(case, "transform-contact", "contacts", 100, case.topic("crm.contact"), "cleanup.policy")


def java(case, main, *words, stdin=None):
    jars = os.path.join(TOP, "build/jars/kafka/*")
    r = subprocess.run(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars, main,
                        *words], input=stdin, capture_output=True, text=True, env=case.env,
                       check=False)
    expect(r.returncode == 0, f"{main} {words}: {r.stdout}{r.stderr}")
    return r.stdout


def topics(case, *words):
    return java(case, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server",
                case.env["KAFKA_BROKERS"], *words)


def test_metadata_that_is_not_that_of_the_systems_ends_with_100(case):
    """A mapped column that changed since `metadata pull` is named before the first record."""
    case.setup("contacts", contacts=1)
    folder = case.world.path("config", f"{case.name}-metadata", "x")[:-2]
    shutil.copytree(SAVED, folder, dirs_exist_ok=True)

    def change(file, column, **what):
        path = os.path.join(folder, file)
        with open(path, encoding="utf-8") as f:
            tree = json.load(f)
        tree["columns" if "columns" in tree else "attributes"][column].update(what)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(tree, f)
    case.configure({"metadata": folder})
    change("campaign.profile.json", "firstName", length=31)
    ends(case, "load-campaign", "contacts", 100, "firstName", "metadata pull")
    change("dataverse.contact.json", "lastname", type="int")
    ends(case, "extract-dataverse", "contacts", 100, "lastname")


def test_another_organisation_behind_the_same_name_ends_with_100(case):
    """The checkpoint pins the OrganizationId."""
    case.setup("contacts", contacts=5)
    case.start("contacts")
    case.agree()
    case.stages[0].stop()
    case.dynamics_box.stop()
    case.dynamics_box = case.sandbox("sandbox-dataverse", case.dynamics_port, "--contacts", "5",
                                     "--organization", "11111111-2222-4333-8444-555555555555")
    ends(case, "extract-dataverse", "contacts", 100, "11111111-2222-4333-8444-555555555555")


def test_an_api_that_goes_away_fills_no_dead_letters(case):
    """Campaign and Dynamics answer 503, then nothing at all, then again: the stages stay, nothing
    is rejected, everything arrives."""
    case.setup("contacts", contacts=100)
    case.start("contacts")
    case.agree()
    case.campaign_box.fault(path="/acme/campaign/*", status=503, count=1000000)
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
    case.dynamics.update_many("contacts", "contact", "contactid", {i: {"jobtitle": "1"} for i in ids})
    case.wait(lambda: case.campaign_box.count(status=503) > 10, 20, "some 503s")
    case.dynamics_box.fault(path="/api/*", close=True, count=1000000)
    case.campaign_box.no_faults()
    case.campaign_box.fault(path="/acme/campaign/*", close=True, count=1000000)
    case.wait(lambda: len(re.findall("msg=(waiting|retrying|again)", "".join(
        case.log(s) for s in case.stages))) >= 1 or case.dynamics_box.count() > 3, 20, "retries")
    case.dynamics_box.no_faults()
    case.campaign_box.no_faults()
    case.dynamics.update("contacts", ids[0], {"jobtitle": "2"})
    case.agree(60)
    for topic in ("extract-dataverse", "transform-contact", "load-campaign"):
        expect(not case.messages(f"rejected.contacts.{topic}"), f"{topic} rejected something")


def test_429_and_retry_after_are_obeyed(case):
    """Retry-After is a floor for Dynamics and for Campaign."""
    import time
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    case.dynamics_box.fault(path="/api/data/*", status=429, headers={"Retry-After": "3"}, count=1)
    case.wait(lambda: case.dynamics_box.count(status=429) == 1, 10, "the 429 of Dynamics")
    began, reads = time.monotonic(), case.dynamics_box.count("contacts (delta)")
    case.wait(lambda: case.dynamics_box.count("contacts (delta)") > reads, 15, "the next read")
    expect(time.monotonic() - began > 2.5, "Dynamics was asked again before Retry-After")
    case.campaign_box.fault(method="PATCH", status=429, headers={"Retry-After": "3"}, count=1)
    case.dynamics.update("contacts", case.dynamics.rows("contacts")[0]["contactid"],
                         {"jobtitle": "1"})
    case.wait(lambda: case.campaign_box.count(status=429) == 1, 10, "the 429 of Campaign")
    began, done = time.monotonic(), case.campaign_box.count("profile", "PATCH", 200)
    case.wait(lambda: case.campaign_box.count("profile", "PATCH", 200) > done, 15, "the next PATCH")
    expect(time.monotonic() - began > 2.5, "Campaign was asked again before Retry-After")
    case.agree()


def test_tokens_are_renewed(case):
    """Tokens that expire after 6 s, and one that is revoked: the flow goes on; a 401 costs one new
    token, not a storm of them."""
    life = ("--token-lifetime", "6")
    case.setup("contacts", contacts=50, dynamics=life, campaign=life)
    import reader
    case.start("contacts")
    ids = [c["contactid"] for c in reader.Dynamics(case.env).rows("contacts")]

    def agree():
        case.dynamics, case.campaign = reader.Dynamics(case.env), reader.Campaign(case.env)
        case.agree(10)
    agree()
    for number in range(1, 4):
        reader.Dynamics(case.env).update_many("contacts", "contact", "contactid",
                                              {i: {"jobtitle": str(number)} for i in ids})
        agree()
        if number == 2:
            case.campaign_box.control.request("POST", "/_sandbox/revoke-tokens")
            case.dynamics_box.control.request("POST", "/_sandbox/revoke-tokens")
        end = case.dynamics_box.count("token") + 1
        wait_until(lambda e=end: case.dynamics_box.count("token") >= e, 10, "a new token")
    refused = case.campaign_box.count("unauthorized", status=401)
    expect(refused <= 32, f"{refused} requests went out with a bad token")
    expect(not case.messages("rejected.contacts.load-campaign"), "a 401 became a dead letter")


def test_a_poison_record_stops_no_partition(case):
    """What cannot be mapped, what Campaign refuses for good and what is no Avro become dead
    letters with the input untouched and no personal data; everything else flows on."""
    case.setup("contacts", contacts=100, overlay=strict())
    case.start("contacts")
    case.agree()
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
    secret = "Verylongfirstnameindeed"
    bad = case.dynamics.create("contacts", {"firstname": secret + "x" * 20, "lastname": "A"})
    refused = ids[7]
    case.campaign_box.fault(method="PATCH", path=f"*{refused}", status=500, count=1, body=json.dumps(
        "RST-360011 An error has occurred. PGS-220000 PostgreSQL error: Key (semail)=(a.person@"
        "example.com) already exists."))
    case.dynamics.update("contacts", refused, {"jobtitle": "refused"})
    subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-P", "-t", case.topic("crm.contact"),
                    "-k", "junk"], input="this is no avro", text=True, check=True)
    case.dynamics.update("contacts", ids[8], {"jobtitle": "goes on"})
    case.wait(lambda: case.campaign.find("profile", ids[8])["cusJobTitle"] == "goes on", 20,
              "the next record")
    case.wait(lambda: len(topic_keys(case.world_env,
                                     case.topic("rejected.contacts.transform-contact"))) == 2 and
              len(topic_keys(case.world_env, case.topic("rejected.contacts.load-campaign"))) == 1,
              20, "three dead letters")
    out = case.tideway("rejected", "ls")[1]
    for word in (bad, refused, "junk", "transform-contact", "load-campaign"):
        expect(word in out, f"`rejected ls` does not name {word}: {out}")
    raw = subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t",
                          case.topic("rejected.contacts.transform-contact"), "-f", "%k|%s|%h\\n"],
                         capture_output=True, check=True).stdout
    expect(b"junk|this is no avro|" in raw, f"the input was not kept: {raw}")
    headers = subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t",
                              case.topic("rejected.contacts.load-campaign"), "-f", "%h\\n"],
                             capture_output=True, text=True, check=True).stdout
    expect("PGS-220000" in headers, f"the reason is not in the headers: {headers}")
    logs = "".join(case.log(s) for s in case.stages)
    for word in ("a.person@example.com", secret):
        expect(word not in headers + logs + out, f"{word} is personal and stands in a header or log")


def test_a_lost_offset_stops_the_stage(case):
    """Records deleted before they were read: exit 100 and a way out, no silent skip."""
    case.setup("contacts", contacts=100)
    case.start("contacts", "extract-dataverse")
    stage = case.start("contacts", "transform-contact")
    case.drained("contacts", "transform-contact")
    case.wait(lambda: len(topic_keys(case.world_env, case.topic("campaign.profile"))) == 100, 20,
              "all records")
    stage.stop()
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
    for number in range(3):
        case.dynamics.update_many("contacts", "contact", "contactid",
                                  {i: {"jobtitle": str(number)} for i in ids})
        case.wait(lambda n=number: len(topic_keys(case.world_env, case.topic("crm.contact"))) >=
                  100 * (n + 2), 20, "the changes")
    topic = case.topic("crm.contact")
    ends_at = {p: max(o for q, o, *_ in topic_keys(case.world_env, topic) if q == p)
               for p in range(4)}
    plan = case.world.write(f"config/{case.name}-delete.json", json.dumps({"version": 1, "partitions": [
        {"topic": topic, "partition": p, "offset": o} for p, o in ends_at.items()]}))
    def policy(value):
        java(case, "kafka.admin.ConfigCommand", "--bootstrap-server", case.env["KAFKA_BROKERS"],
             "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config",
             f"cleanup.policy={value}")
    policy("delete")  # a compacted topic refuses to lose records on demand
    java(case, "org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server",
         case.env["KAFKA_BROKERS"], "--offset-json-file", plan)
    policy("compact")
    ends(case, "transform-contact", "contacts", 100, "replay", topic)
    case.tideway("replay", "--flow", "contacts", "--stage", "transform-contact", "--from", "beginning")
    case.start("contacts", "transform-contact")
    case.drained("contacts", "transform-contact")


def test_an_incompatible_schema_ends_with_100(case):
    """A registered schema that ours cannot follow: the differing field is named."""
    case.setup("contacts", contacts=5)
    schema = {"type": "record", "name": "Change", "namespace": "x", "fields": [
        {"name": "op", "type": "string"}, {"name": "id", "type": "long"}]}
    import reader
    registry = reader.Client(case.env["REGISTRY_URL"])
    registry.request("POST", f"/subjects/{case.topic('crm.contact')}-value/versions",
                     {"schema": json.dumps(schema)})
    ends(case, "extract-dataverse", "contacts", 100, case.topic("crm.contact"))


def test_replay_is_refused_while_the_stage_runs(case):
    """The members are named and nothing is done."""
    case.setup("contacts", contacts=20)
    case.start("contacts")
    case.agree()
    case.drained("contacts", "load-campaign")
    code, out, err = case.tideway("replay", "--flow", "contacts", "--stage", "load-campaign",
                                  "--from", "beginning", check=False)
    expect(code and "member" in out + err and f"{case.name}." in out + err,
           f"replay of a running stage: {code} {out}{err}")
    expect(case.status("contacts")["load-campaign"]["backlog"] == 0, "the offsets were changed")


def broadlog(rows):
    head = ("broadLogId,status,failureType,failureReason,reasonText,eventDate,lastModified,address,"
            "deliveryId,deliveryName,deliveryLabel,campaignName,campaignLabel,profileExternalId,"
            "messageType,testProfile\n")
    return head + "".join(",".join(r) + "\n" for r in rows)


def row(number, contact, status="1", when="2026-05-01 10:00:00.000Z"):
    return [str(number), status, "0", "0", "", when, when, "a@example.com", "1", "DM1", "Label", "C",
            "CL", contact, "0", "0"]


def test_bad_log_files_are_said_and_stop_nothing(case):
    """A file that grows is not taken; a bad row is a dead letter with file and line; a wrong file
    is refused whole; the files behind it are read."""
    case.setup("contacts", "email-events", contacts=20)
    ids = [c["contactid"] for c in case.dynamics.rows("contacts")]

    def put(name, text, mode="w"):
        with open(os.path.join(case.exports, name), mode, encoding="utf-8") as f:
            f.write(text)
    put("acs_broadlog_20260501_100000.csv", "id;state\n1;2\n")
    put("acs_broadlog_20260501_110000.csv", broadlog([
        row(1, ids[0]), row(2, ids[1], status="3"), row(3, ids[2], when="01/05/2026"),
        row(4, ids[3])[:7], row(5, "not-a-guid"), row(6, ids[4])]))
    put("acs_broadlog_20260501_120000.csv.gz", "this is no gzip")
    put("acs_broadlog_20260501_130000.csv", broadlog([row(7, ids[5])]))
    put("notes.txt", "not ours")
    stage = case.start("email-events", "extract-campaign-logs")

    def events():
        return sorted(m["value"]["event_id"] for m in case.messages("campaign.email-event"))
    case.wait(lambda: len(events()) >= 3, 30, "the good rows")
    expect(events() == ["acme|send|1", "acme|send|6", "acme|send|7"], f"events: {events()}")
    out = case.tideway("rejected", "ls", "--flow", "email-events")[1]
    for word in ("acs_broadlog_20260501_100000.csv", "acs_broadlog_20260501_110000.csv",
                 "acs_broadlog_20260501_120000.csv.gz"):
        expect(word in out, f"`rejected ls` does not name {word}: {out}")
    expect("not_a_contact=1" in case.log(stage), "the profile that is no contact was not counted")
    # One that grows: it is read when it stands still, whole, once.
    name = "acs_broadlog_20260501_140000.csv"
    put(name, broadlog([row(8, ids[6])]))
    for number in range(9, 12):
        put(name, ",".join(row(number, ids[number])) + "\n", "a")
    case.wait(lambda: len(events()) == 7, 20, "the rows of the growing file")
    stage.stop()
    stage = case.start("email-events", "extract-campaign-logs")
    put("acs_broadlog_20260501_150000.csv", broadlog([row(8, ids[6]), row(20, ids[7])]))
    case.wait(lambda: len(events()) == 8, 20, "a row of the next file")
    expect(len(set(events())) == 8, f"an event came twice: {events()}")


def test_an_sftp_server_that_goes_away(case):
    """The extractor waits and goes on."""
    case.setup("contacts", "email-events", contacts=50)
    case.start("contacts")
    case.agree()
    # Another server than the shared one: a folder that is not there yet is like one that is away.
    os.rename(case.exports, case.exports + ".away")
    stage = case.start("email-events", "extract-campaign-logs")
    case.wait(lambda: "result=retry" in case.log(stage), 20, "the extractor to wait")
    os.rename(case.exports + ".away", case.exports)
    case.start("email-events", "transform-marketing-event", "load-dataverse")
    case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
    case.agree(60, events=True)


def test_a_delta_token_that_expired_means_a_new_snapshot(case):
    """The extractor reads everything once more, in a new epoch, and goes on with deltas."""
    case.setup("contacts", contacts=50)
    case.start("contacts")
    case.agree()
    case.dynamics_box.control.request("POST", "/_sandbox/expire-delta-tokens")
    case.wait(lambda: case.dynamics_box.count("contacts (snapshot)") >= 2, 20, "a new snapshot")
    case.dynamics.update("contacts", case.dynamics.rows("contacts")[0]["contactid"],
                         {"jobtitle": "1"})
    case.agree()
    epochs = {m["value"]["epoch"] for m in case.messages("crm.contact") if m["value"]}
    expect(len(epochs) == 2, f"epochs: {epochs}")


def test_a_broker_that_restarts(case):
    """All stages ride out a broker that stops and starts; everything agrees afterwards."""
    # The broker is shared: this test runs its own, in a world below the shared one's ports.
    import world as w
    own = w.World("e2e-broker", case.world.base + 30, 50)
    own.wipe()
    try:
        own.up("broker", "registry", quiet=True)
        case.env.update(KAFKA_BROKERS=own.env["KAFKA_BROKERS"], REGISTRY_URL=own.env["REGISTRY_URL"])
        case.setup("contacts", contacts=100)
        case.start("contacts")
        case.agree(40)
        with open(own.path("pids", "broker.pid"), encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGKILL)
        ids = [c["contactid"] for c in case.dynamics.rows("contacts")]
        case.dynamics.update_many("contacts", "contact", "contactid",
                                  {i: {"jobtitle": "1"} for i in ids})
        own.up("broker", quiet=True)
        for stage in case.stages:  # a stage may end with 111; its supervisor starts it again
            if not stage.running():
                expect(stage.process.returncode == 111, f"{stage.name} ended: {stage.tail()}")
                case.world_env.stages.remove(stage)
                case.start("contacts", stage.program, name=f"again-{stage.program}")
        wait_until(lambda: not case_wrong(case), 60, "both sides to agree")
        case.each_version_once("crm.contact")
    finally:
        for stage in case.stages:
            stage.kill()
        own.down()


def case_wrong(case):
    import reader
    for stage in list(case.world_env.stages):
        if not stage.running():
            expect(stage.process.returncode == 111, f"{stage.name} ended: {stage.tail()}")
            case.world_env.stages.remove(stage)
            case.start("contacts", stage.program, name=f"again2-{stage.program}")
    return reader.compare_contacts(case.dynamics, case.campaign)[1]


assert BUILD

"""contracts - what other programs may rely on: topics, schemas, partitions, and no personal data
where it does not belong."""
import json
import os
import re
import subprocess

import reader
from case import STAGES, expect, strict
from failures import java
from world import BUILD, TOP, topic_keys


def fields_of(case, topic):
    registry = reader.Client(case.env["REGISTRY_URL"])
    answer = registry.get(f"/subjects/{case.topic(topic)}-value/versions/latest")
    change = json.loads(answer["schema"])
    row = next(f for f in change["fields"] if f["name"] == "row")["type"][1]
    return change, {f["name"]: f["type"] for f in row["fields"]}


def test_registered_types(case):
    """birthdate is a date, modifiedon a timestamp-millis, gendercode a record of value and label,
    money an exact string; epoch and version are there from the start; compatibility is
    BACKWARD_TRANSITIVE; the schemas in schemas/ are the registered ones."""
    case.setup("contacts", contacts=5)
    case.start("contacts")
    case.agree()
    change, row = fields_of(case, "crm.contact")

    def some(t):
        expect(isinstance(t, list) and t[0] == "null", f"not nullable: {t}")
        return t[1]
    expect([f["name"] for f in change["fields"]] == [
        "op", "id", "epoch", "version", "modified_at", "observed_at", "origin", "row"], str(change))
    expect(some(row["birthdate"]) == {"type": "int", "logicalType": "date"}, str(row["birthdate"]))
    expect(some(row["modifiedon"]) == {"type": "long", "logicalType": "timestamp-millis"},
           str(row["modifiedon"]))
    gender = some(row["gendercode"])
    expect(gender["type"] == "record" and [f["name"] for f in gender["fields"]] == ["value", "label"],
           str(gender))
    company = some(row["parentcustomerid"])
    expect([f["name"] for f in company["fields"]] == ["id", "table", "name"], str(company))
    expect(some(row["annualincome"]) == "string", str(row["annualincome"]))
    expect(some(row["donotemail"]) == "boolean", str(row["donotemail"]))
    registry = reader.Client(case.env["REGISTRY_URL"])
    for topic in ("crm.contact", "campaign.profile"):
        subject = f"{case.topic(topic)}-value"
        level = registry.get(f"/config/{subject}")["compatibilityLevel"]
        expect(level == "BACKWARD_TRANSITIVE", f"{subject}: {level}")
        with open(os.path.join(TOP, f"schemas/{topic}.avsc"), encoding="utf-8") as f:
            saved = json.load(f)
        live = json.loads(registry.get(f"/subjects/{subject}/versions/latest")["schema"])
        expect(saved == live, f"schemas/{topic}.avsc is not what is registered")


def test_exact_money_and_dates_on_the_wire(case):
    """Money keeps all digits of the JSON that Dynamics sent; dates at the edges are that day."""
    case.setup("contacts", contacts=10)
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: len(topic_keys(case.world_env, case.topic("crm.contact"))) == 10, 20, "records")
    money = {m["value"]["row"]["annualincome"] for m in case.messages("crm.contact")}
    expect({"922337203685477.5807", "-922337203685477.5808"} <= money, f"money: {money}")
    days = {str(m["value"]["row"]["birthdate"]) for m in case.messages("crm.contact")}
    expect({"1753-01-01", "1900-01-01", "2000-02-29", "9999-12-31"} <= days, f"dates: {days}")


def test_every_topic_is_decoded_by_kcat_and_the_registry(case):
    """An independent reader decodes every message of every topic; every subject is
    <topic>-value; headers are the two times, in ms."""
    case.setup("contacts", "loyalty-cards", "email-events", contacts=50, strangers=5)
    for flow in STAGES:
        case.start(flow)
    case.agree(cards=True)
    case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
    case.dynamics.delete("contacts", case.dynamics.rows("contacts")[0]["contactid"])
    case.agree(cards=True, events=False)
    made = case.tideway("topics", "create")[1]
    names = [line.split()[0][len(case.name) + 1:] for line in made.splitlines()]
    expect(len(names) == 23, made)
    case.drained("email-events", "load-dataverse")
    for name in names:
        for m in case.messages(name):
            expect("error" not in m, f"{name}: {m}")
        out = subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t",
                              case.topic(name), "-f", "%h\\n"], capture_output=True, text=True,
                             check=True).stdout
        for line in out.splitlines():
            if not name.startswith(("checkpoint", "rejected", "loaded", "parked")):
                expect(re.fullmatch(r"(tideway-source-time=\d{13},)?tideway-observed-at=\d{13}", line),
                       f"{name}: headers {line!r}")
    expect(case.messages("crm.contact") and case.messages("crm.email-activity"), "empty topics")


def test_a_java_producer_puts_keys_where_we_do(case):
    """Kafka's own console producer and ours choose the same partition for a key."""
    case.setup("contacts", contacts=200)
    case.start("contacts", "extract-dataverse")
    case.wait(lambda: len(topic_keys(case.world_env, case.topic("crm.contact"))) == 200, 20, "records")
    ours = {k: p for p, _, k, _ in topic_keys(case.world_env, case.topic("crm.contact"))}
    expect(len(set(ours.values())) == 4, "our keys do not fill the partitions")
    name = case.topic("java")
    java(case, "org.apache.kafka.tools.TopicCommand", "--bootstrap-server",
         case.env["KAFKA_BROKERS"], "--create", "--topic", name, "--partitions", "4")
    java(case, "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server",
         case.env["KAFKA_BROKERS"], "--topic", name, "--property", "parse.key=true",
         stdin="".join(f"{k}\tx\n" for k in ours))
    theirs = {k: p for p, _, k, _ in topic_keys(case.world_env, name)}
    expect(ours == theirs, "partitions differ for " + str(
        [(k, ours[k], theirs.get(k)) for k in ours if ours[k] != theirs.get(k)][:5]))


def test_no_personal_data_in_headers_or_logs(case):
    """Names, addresses, phone numbers and emails of all contacts stand in no header and no log,
    also when the products' errors repeat them."""
    case.setup("contacts", "loyalty-cards", "email-events", contacts=100, overlay=strict())
    case.campaign_box.fault(method="PATCH", status=500, probability=0.1, count=30, body=json.dumps(
        "RST-360011 PGS-220000 Key (semail)=(contact1@example.com) already exists for 'Müller'."))
    for flow in ("contacts", "loyalty-cards"):
        case.start(flow)
    case.wait(lambda: case.campaign.count("profile") >= 60, 30, "most profiles")
    case.dynamics.create("contacts", {"firstname": "Secretiveperson" * 3, "lastname": "Hidden",
                                      "emailaddress1": "very.secret@example.com"})
    case.campaign_box.no_faults()
    case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
    case.start("email-events")
    case.drained("contacts", "load-campaign")
    case.wait(lambda: case.messages("campaign.email-event"), 20, "events")
    case.drained("email-events", "load-dataverse")
    personal = {"contact1@example.com", "very.secret@example.com", "Secretiveperson"}
    for c in case.dynamics.rows("contacts"):
        for column in ("lastname", "firstname", "emailaddress1", "telephone1", "mobilephone", "fax",
                       "address1_line1", "birthdate"):
            value = c.get(column)
            if value and len(value) > 5:
                personal.add(value)
    logs = "".join(case.log(s) for s in case.stages)
    headers = ""
    for line in case.tideway("topics", "create")[1].splitlines():
        headers += subprocess.run(["kcat", "-b", case.env["KAFKA_BROKERS"], "-C", "-e", "-q", "-t",
                                   line.split()[0], "-f", "%h\\n"], capture_output=True, text=True,
                                  check=True).stdout
    expect("PGS-220000" in headers and "too-long" in headers, "no dead letter has a reason")
    found = [p for p in personal if p in headers or p in logs]
    expect(not found, f"personal data in headers or logs: {found[:5]}")
    expect("sandbox" not in re.sub(r"127[^ ]*|/[^ ]*sandbox[^ ]*", "", logs), "a secret in the logs")


def test_status_tells_the_truth(case):
    """Members, positions, backlog and ages of a flow at work, stopped and behind."""
    case.setup("contacts", contacts=100)
    before = case.status("contacts")
    expect(all(s["members"] == 0 for s in before.values()), f"members of nothing: {before}")
    case.start("contacts", "extract-dataverse", "transform-contact")
    case.wait(lambda: case.status("contacts")["load-campaign"]["backlog"] >= 100, 20, "a backlog")
    behind = case.status("contacts")
    expect(behind["load-campaign"]["members"] == 0 and behind["transform-contact"]["members"] == 1,
           f"members: {behind}")
    case.start("contacts", "load-campaign")
    case.drained("contacts", "load-campaign")
    now = case.status("contacts")
    expect(all(s["members"] == 1 for s in now.values()), f"members: {now}")
    expect(0 <= now["load-campaign"]["last_record_ms"] - behind["transform-contact"]["last_record_ms"]
           < 60000, f"ages: {now}")
    out = case.tideway("status", "--flow", "contacts")[1]
    expect("load-campaign" in out and "backlog" in out, out)


def test_help_fits_and_names_defaults(case):
    """--help of every program is at most 80 wide and 40 long, and every option has a default."""
    programs = sorted({p for s in STAGES.values() for p in s})
    commands = [[p] for p in programs] + [["tideway"]] + [
        ["tideway", c] for c in ("adopt", "approve", "check", "install", "logs", "metadata", "plan", "rejected", "replay",
                                  "schemas", "status", "test", "topics")]
    for words in commands:
        r = subprocess.run([os.path.join(BUILD, words[0]), *words[1:], "--help"],
                           capture_output=True, text=True, check=False)
        lines = r.stdout.splitlines()
        expect(r.returncode == 0 and lines, f"{words} --help: {r.returncode}")
        expect(len(lines) <= 40 and max(map(len, lines)) <= 80,
               f"{words} --help is {max(map(len, lines))} by {len(lines)}")
        for line in lines:
            if re.match(r" +--(?!help|version)", line):
                expect("default" in line or "second one overrides" in line, f"{words}: {line}")
        r = subprocess.run([os.path.join(BUILD, words[0]), "--version"], capture_output=True,
                           text=True, check=False)
        expect(r.returncode == 0 and re.search(r"\d+\.\d+\.\d+", r.stdout), f"{words} --version")
        r = subprocess.run([os.path.join(BUILD, words[0]), "--nonsense"], capture_output=True,
                           text=True, check=False)
        expect(r.returncode == 100 and "--nonsense" in r.stderr, f"{words} --nonsense: {r}")

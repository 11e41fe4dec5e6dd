"""restarts - every stage is stopped, killed and multiplied while records flow; nothing is lost,
nothing comes twice, and the order of each key stays."""
import signal
import subprocess
import threading

from case import STAGES, expect
from world import topic_keys, wait_until


class Writer(threading.Thread):
    """Changes contacts in Dynamics all the time, each change one number higher."""

    def __init__(self, case):
        super().__init__(daemon=True)
        self.case, self.stopping, self.version, self.why = case, threading.Event(), 0, None
        self.ids = [c["contactid"] for c in case.dynamics.rows("contacts")]

    def run(self):
        import reader
        dynamics = reader.Dynamics(self.case.env)
        try:
            while not self.stopping.is_set():
                self.version += 1
                some = self.ids[self.version % 4::4]
                dynamics.update_many("contacts", "contact", "contactid",
                                     {i: {"jobtitle": str(self.version)} for i in some})
                self.stopping.wait(0.05)
        except OSError as e:  # the sandbox is gone because the test is over
            self.why = e

    def finish(self):
        self.stopping.set()
        self.join(10)

    def more(self, n=3):
        """Waits for n more versions."""
        goal = self.version + n
        wait_until(lambda: self.version >= goal, 20, "more changes")


def written(case):
    return case.campaign_box.count("profile", "PATCH", 200)


def proven(case):
    """Exactly once in both topics, in order, and the same versions in the second as in the first;
    Campaign never went back."""
    first = case.each_version_once("crm.contact")
    second = case.each_version_once("campaign.profile")
    expect(first == second, "the versions in campaign.profile are not those of crm.contact")
    again = 0
    for key in first:
        numbers = [int(h["body"]["cusJobTitle"]) for h in case.campaign_box.history(key)
                   if h["body"].get("cusJobTitle", "").isdigit()]
        last, returned = 0, 0
        for n in numbers:
            # At least once: what was in flight may be written again, from where it was.
            returned += n < last
            last = n
        again += returned
    return again


def restart(case, program, number):
    """The stage ends by this signal while records flow, and is started again, three times."""
    case.setup("contacts", contacts=200)
    case.start("contacts")
    case.agree()
    writer = Writer(case)
    writer.start()
    stage = next(s for s in case.stages if s.program == program)
    for _ in range(3):
        writer.more()
        before = written(case)
        if number == signal.SIGKILL:
            stage.kill()
        else:
            stage.stop()  # expects exit 0
        writer.more(2)
        stage = case.start("contacts", program)
        case.wait(lambda b=before: written(case) > b + 200, 30, "the flow to go on")
    writer.finish()
    case.agree()
    last_change(case, stage, number)
    again = proven(case)
    if number == signal.SIGTERM:
        expect(not again, f"a clean stop made {again} profiles go back to an older version")


def last_change(case, stage, number):
    """Everything changes once more, and the stage ends in the middle of that: no later change
    covers up for what would be lost."""
    case.drained("contacts", "load-campaign")
    case.campaign_box.fault(method="PATCH", delay_ms=100, count=100000)
    before = written(case)
    case.dynamics.update_many("contacts", "contact", "contactid", {
        c["contactid"]: {"jobtitle": "99999"} for c in case.dynamics.rows("contacts")})
    case.wait(lambda: written(case) > before + 40, 20, "some of the last change")
    if number == signal.SIGKILL:
        stage.kill()
    else:
        stage.stop()
    case.start("contacts", stage.program)
    case.campaign_box.no_faults()
    case.agree()


def test_extractor_stopped(case):
    """extract-dataverse gets SIGTERM three times under load."""
    restart(case, "extract-dataverse", signal.SIGTERM)


def test_extractor_killed(case):
    """extract-dataverse gets SIGKILL three times under load."""
    restart(case, "extract-dataverse", signal.SIGKILL)


def test_transformer_stopped(case):
    """transform-contact gets SIGTERM three times under load."""
    restart(case, "transform-contact", signal.SIGTERM)


def test_transformer_killed(case):
    """transform-contact gets SIGKILL three times under load."""
    restart(case, "transform-contact", signal.SIGKILL)


def test_loader_stopped(case):
    """load-campaign gets SIGTERM three times under load."""
    restart(case, "load-campaign", signal.SIGTERM)


def test_loader_killed(case):
    """load-campaign gets SIGKILL three times under load."""
    restart(case, "load-campaign", signal.SIGKILL)


def cards(case, number):
    case.setup("contacts", "loyalty-cards", contacts=200)
    case.start("contacts")
    for program in STAGES["loyalty-cards"]:
        stage = case.start("loyalty-cards", program)
        case.wait(lambda s=stage: "msg=started" in case.log(s), 10, f"{program} to start")
    for program in STAGES["loyalty-cards"]:
        stage = next(s for s in case.stages if s.program == program and s.flow == "loyalty-cards"
                     and s.running())
        if number == signal.SIGKILL:
            stage.kill()
        else:
            stage.stop()
        case.dynamics.update_many("new_loyaltycards", "new_loyaltycard", "new_loyaltycardid", {
            c["new_loyaltycardid"]: {"new_note": f"{program} {number}"}
            for c in case.dynamics.rows("new_loyaltycards")})
        case.start("loyalty-cards", program)
    case.agree(40, cards=True)
    first = case.each_version_once("crm.new_loyaltycard")
    expect(first == case.each_version_once("campaign.cusLoyaltyCard"), "versions differ")


def test_card_stages_stopped(case):
    """Each stage of the custom table's flow gets SIGTERM in turn."""
    cards(case, signal.SIGTERM)


def test_card_stages_killed(case):
    """Each stage of the custom table's flow gets SIGKILL in turn."""
    cards(case, signal.SIGKILL)


def events(case, number):
    case.setup("contacts", "email-events", contacts=400, strangers=20)
    case.start("contacts")
    case.agree()
    case.start("email-events")
    for program in STAGES["email-events"]:
        sent = case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
        expect(sum(sent["of_contacts"].values()) > 400, f"too few events: {sent}")
        stage = next(s for s in case.stages if s.program == program and s.running())
        if program == "load-dataverse":
            case.dynamics_box.fault(path="*UpsertMultiple*", delay_ms=100, count=1000)
            rows = len(case.dynamics.rows("adobe_emailsends"))
            case.wait(lambda r=rows: case.dynamics.count("adobe_emailsends") > r, 20, "some sends")
        elif program == "extract-campaign-logs":
            case.wait(lambda: len(topic_keys(case.world_env, case.topic("campaign.email-event"))) > 1,
                      20, "some events")
        if number == signal.SIGKILL:
            stage.kill()
        else:
            stage.stop()
        case.start("email-events", program)
    case.agree(40, events=True)
    for topic in ("campaign.email-event", "crm.email-activity"):
        keys = [m["key"] for m in case.messages(topic)]
        expect(len(keys) == len(set(keys)), f"{topic} holds an event twice")


def test_event_stages_stopped(case):
    """Each stage of the events' flow gets SIGTERM in turn, while a delivery comes back."""
    events(case, signal.SIGTERM)


def test_event_stages_killed(case):
    """Each stage of the events' flow gets SIGKILL in turn, while a delivery comes back."""
    events(case, signal.SIGKILL)


def test_transformer_killed_20_times_between_produce_and_commit(case):
    """Records are in the output topic but not committed when the transformer dies, 20 times; a
    read_committed consumer counts each version once."""
    case.setup("contacts", contacts=200)
    case.configure({"flows": {"contacts": {"commit_interval": "3s"}}})
    case.start("contacts", "extract-dataverse")
    writer = Writer(case)
    topic = case.topic("campaign.profile")

    def uncommitted():
        """Messages that only a read_uncommitted consumer sees."""
        return (len(topic_keys(case.world_env, topic, ("-X", "isolation.level=read_uncommitted"))) -
                len(topic_keys(case.world_env, topic)))
    for i in range(20):
        case.dynamics.update_many("contacts", "contact", "contactid", {
            k: {"jobtitle": str(i)} for k in writer.ids})
        before = uncommitted()
        stage = case.start("contacts", "transform-contact", options=("--instance", "one"))
        case.wait(lambda b=before: uncommitted() > b, 20, "records that are not committed")
        stage.kill()
    case.configure()
    case.start("contacts", "transform-contact", options=("--instance", "one"))
    case.start("contacts", "load-campaign")
    case.agree(40)
    total = len(topic_keys(case.world_env, topic, ("-X", "isolation.level=read_uncommitted")))
    first, second = case.each_version_once("crm.contact"), case.each_version_once("campaign.profile")
    expect(first == second, "the versions in campaign.profile are not those of crm.contact")
    committed = sum(len(v) for v in second.values())
    expect(total > committed, "no transaction was aborted: the test tested nothing")


def test_two_of_each_share_the_work(case):
    """Two transformers and two loaders split the partitions; one joins and one leaves under load."""
    case.setup("contacts", "loyalty-cards", "email-events", contacts=300)
    case.start("contacts")
    case.agree()
    writer = Writer(case)
    writer.start()
    second = [case.start("contacts", p, name=f"second-{p}")
              for p in ("transform-contact", "load-campaign")]

    def members(n):
        status = case.status("contacts")
        return all(status[p]["members"] == n for p in ("transform-contact", "load-campaign"))
    case.wait(lambda: members(2), 20, "two members in each group")
    case.wait(lambda: all("partitions assigned\" count=2" in case.log(s) for s in second), 20,
              "the second ones to have half of the partitions")
    writer.more(20)
    for stage in second:
        stage.stop()
    case.wait(lambda: members(1), 20, "one member in each group")
    writer.more(5)
    writer.finish()
    case.agree()
    went_back = proven(case)
    # librdkafka gives all partitions up when a commit meets the very moment of a new generation.
    if not any("partitions lost" in case.log(s) for s in case.stages):
        expect(not went_back, "a profile went back to an older version")
    for stage in second:
        counts = [line for line in case.log(stage).splitlines() if "msg=counts" in line]
        expect(counts and " records=0 " not in counts[-1], f"{stage.program} did nothing: {counts}")
    for flow in ("email-events", "loyalty-cards"):
        case.start(flow)
        for program in STAGES[flow][1:]:
            case.start(flow, program, name=f"second-{program}-{flow}")
    case.campaign_box.control.request("POST", "/_sandbox/deliver", {})
    case.agree(40, cards=True, events=True)
    for suffix in ("crm.email-activity", "campaign.cusLoyaltyCard"):
        keys = [m["key"] for m in case.messages(suffix)]
        expect(len(keys) == len(set(keys)), f"{suffix} holds a record twice")


def test_a_standby_extractor_takes_over(case):
    """Of two extractors one leads; when it dies the other goes on where it was, and nothing comes
    twice. The standby leaves the leader alone."""
    case.setup("contacts", contacts=200)
    case.start("contacts")
    case.agree()
    leader = next(s for s in case.stages if s.program == "extract-dataverse")
    standby = case.start("contacts", "extract-dataverse", name="standby")
    writer = Writer(case)
    writer.start()
    writer.more(10)
    expect("leading" not in case.log(standby), "the standby took the lead from a working leader")
    leader.kill()
    case.wait(lambda: "msg=leading" in case.log(standby), 20, "the standby to lead")
    before = written(case)
    case.wait(lambda: written(case) > before + 200, 30, "the flow to go on")
    writer.finish()
    case.agree()
    proven(case)
    expect("snapshot begins" not in case.log(standby), "the standby began from the start")


def test_killed_in_mid_snapshot(case):
    """The extractor dies between two pages of the first read and goes on at the next one."""
    case.setup("contacts", contacts=300)
    case.configure({"flows": {"contacts": {"page_size": 10}}})
    case.dynamics_box.fault(path="*contacts*", delay_ms=100, count=1000)
    stage = case.start("contacts", "extract-dataverse")
    for _ in range(3):
        before = len(topic_keys(case.world_env, case.topic("crm.contact")))
        case.wait(lambda b=before: len(topic_keys(case.world_env, case.topic("crm.contact"))) > b + 20,
                  20, "some pages")
        stage.kill()
        stage = case.start("contacts", "extract-dataverse")
    case.dynamics_box.no_faults()
    case.start("contacts", "transform-contact", "load-campaign")
    case.agree()
    case.each_version_once("crm.contact")
    snapshots = case.dynamics_box.count("contacts (snapshot)", "GET")
    expect(snapshots <= 30 + 3 + 1, f"{snapshots} pages were read for 30")


def test_a_paused_leader_is_fenced(case):
    """An extractor that was frozen while another took over writes nothing more and ends with 111."""
    case.setup("contacts", contacts=100)
    frozen = case.start("contacts", "extract-dataverse")
    case.start("contacts", "transform-contact", "load-campaign")
    case.agree()
    frozen.signal(signal.SIGSTOP)
    case.world_env.stages.remove(frozen)
    other = case.start("contacts", "extract-dataverse", name="other")
    case.wait(lambda: "msg=leading" in case.log(other), 20, "the other one to lead")
    case.dynamics.update("contacts", case.dynamics.rows("contacts")[0]["contactid"],
                         {"jobtitle": "1"})
    case.agree()
    frozen.signal(signal.SIGCONT)
    case.dynamics.update("contacts", case.dynamics.rows("contacts")[1]["contactid"],
                         {"jobtitle": "2"})
    case.agree()
    case.each_version_once("crm.contact")
    try:
        code = frozen.process.wait(10)
        expect(code == 111, f"the fenced extractor ended with {code}")
    except subprocess.TimeoutExpired:  # it saw the loss of its partition first: a standby again
        expect(case.log(frozen).count("msg=leading") == 1, "the frozen extractor leads again")

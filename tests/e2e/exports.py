"""exports - what befalls the export files and the server where they lie: slowness, files that take the
place of others, listings that are wrong."""
import os
import socket
import threading
import time

from case import expect
from events import FLOW, SENDING, contacts_of, events_of, have, put_file, rejected, sending, setup
from world import topic_keys


class SlowRelay:
    """Passes a port on, from the server at most so many bytes a second."""

    def __init__(self, port, upstream, rate):
        self.upstream, self.rate = upstream, rate
        self.server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.server.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.upstream))
            for pair in ((client, server, None), (server, client, self.rate)):
                threading.Thread(target=self.copy, args=pair, daemon=True).start()

    @staticmethod
    def copy(source, to, rate):
        began, passed, last = time.monotonic(), 0, time.monotonic()
        try:
            while data := source.recv(8192):
                if rate and time.monotonic() - last > 1:  # what was not used is not saved up
                    began, passed = time.monotonic(), 0
                to.sendall(data)
                passed += len(data)
                last = time.monotonic()
                if rate and passed / rate > last - began:
                    threading.Event().wait(passed / rate - (last - began))
                    last = time.monotonic()
        except OSError:
            pass
        for s in (source, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.server.close()


def through_relay(case, rate):
    """The extractor that is started next reads by a slow line."""
    upstream = case.world.base + 3
    port = case.world.base + 60 + case.slot
    relay = SlowRelay(port, upstream, rate)
    case.sandboxes.append(relay)
    with open(case.env["CAMPAIGN_LOGS_HOST_KEY"], encoding="ascii") as f:
        key = f.read().replace(f":{upstream} ", f":{port} ")
    hosts = case.world.write(f"config/{case.name}.hosts", key)
    url = case.env["CAMPAIGN_LOGS_URL"].replace(f":{upstream}/", f":{port}/")
    return {"CAMPAIGN_LOGS_URL": url, "CAMPAIGN_LOGS_HOST_KEY": hosts}


def events_in_topic(case):
    return [k for _, _, k, _ in topic_keys(case.world_env, case.topic("campaign.email-event"))]


def test_a_slow_line_with_few_events_is_read_in_one_go(case):
    """A file that takes longer than a transaction may last, with an event now and then, is read without
    a restart: what was written is committed in time."""
    setup(case, stages=False)
    some = contacts_of(case)
    rows = "".join(sending(some[n % len(some)] if n % 100 == 0 else "somebody", n) for n in range(40000))
    put_file(case, "acs_broadlog_1.csv", SENDING + rows)
    env = through_relay(case, len(rows) // 16)
    began = time.monotonic()
    stage = case.start(FLOW, "extract-campaign-logs", env=env)
    case.wait(lambda: "file read" in case.log(stage), 60, "the file to be read")
    expect(time.monotonic() - began > 12, "the line was not slow")
    case.wait(lambda: len(set(events_in_topic(case))) == 400, 20, "the last events to be committed")
    keys = events_in_topic(case)
    expect(len(keys) == len(set(keys)) == 400, f"{len(keys)} events, {len(set(keys))} of them differ")


def test_a_file_that_cannot_be_read_holds_back_no_other(case):
    """A name that the server lists and does not open is passed over, said once, and the files behind it
    are read."""
    setup(case, stages=False)
    some = contacts_of(case)
    put_file(case, "acs_broadlog_0.csv\rx", SENDING + sending(some[0], 1))  # listed as its first half
    put_file(case, "acs_broadlog_1.csv", SENDING + sending(some[1], 2))
    stage = case.start(FLOW, "extract-campaign-logs")
    case.wait(lambda: len(events_in_topic(case)) == 1, 20, "the file behind it")
    put_file(case, "acs_broadlog_2.csv", SENDING + sending(some[1], 3))
    case.wait(lambda: len(events_in_topic(case)) == 2, 20, "one that comes later")
    expect(case.log(stage).count("a file cannot be read") == 1, case.log(stage)[-800:])


def test_half_a_file_is_not_read_while_it_grows(case):
    """A file that is half there when it is seen first, and whole before a poll has passed, is read once,
    and its last row is no dead letter."""
    setup(case, stages=False)
    case.configure(events_of(case, poll="3s"))
    some, rows = contacts_of(case), ""
    for n in range(100):
        rows += sending(some[n], n)
    put_file(case, "acs_broadlog_1.csv", SENDING + rows[:3001])
    stage = case.start(FLOW, "extract-campaign-logs")
    case.wait(lambda: "events known" in case.log(stage), 20, "the extractor to lead")
    seen = time.monotonic()
    case.wait(lambda: time.monotonic() - seen > 1, 5, "it to be seen")
    with open(os.path.join(case.exports, "acs_broadlog_1.csv"), "a", encoding="ascii") as f:
        f.write(rows[3001:])
    case.wait(lambda: "file read" in case.log(stage), 30, "the file to be read")
    expect(case.log(stage).count("file read") == 1 and not rejected(case), case.log(stage)[-600:])
    expect(len(events_in_topic(case)) == 100, f"{len(events_in_topic(case))} events")


def test_only_complete_files_are_deleted(case):
    """`processed: delete` leaves a file that is empty, that ends in the middle of a row, or one of whose
    rows is a dead letter: what is written into the first two later is read, and then they go."""
    setup(case, overlay=events_of(case, files={"processed": "delete"}))
    some = contacts_of(case)
    paths = [os.path.join(case.exports, f"acs_broadlog_{n}.csv") for n in range(4)]
    row = sending(some[1], 2)
    put_file(case, "acs_broadlog_2.csv", SENDING + sending(some[3], 4) + sending(some[4], 5, status=3))
    with open(paths[0], "w", encoding="ascii") as empty, open(paths[1], "w", encoding="ascii") as half:
        half.write(SENDING + sending(some[0], 1) + row[:len(row) // 2])
        half.flush()
        case.wait(lambda: have(case)["send"] == 2, 20, "the whole rows")
        for n in range(2):  # deletions come with a listing after the read
            put_file(case, "acs_broadlog_3.csv", SENDING + sending(some[5 + n], 6 + n))
            case.wait(lambda: not os.path.exists(paths[3]), 20, "a complete file to be deleted")
        expect(all(os.path.exists(p) for p in paths[:3]), str(os.listdir(case.exports)))
        half.write(row[len(row) // 2:])
        empty.write(SENDING + sending(some[2], 3))
    case.wait(lambda: have(case)["send"] == 6, 20, "what was written late")
    case.wait(lambda: os.listdir(case.exports) == ["acs_broadlog_2.csv"], 20, "both to be deleted")


def test_a_folder_with_escapes_in_its_url_is_read_and_emptied(case):
    """A blank in the directory's name is %20 in the URL, by SFTP and locally."""
    setup(case, stages=False)
    folder = os.path.join(case.exports, "a b")
    os.mkdir(folder)
    case.configure(events_of(case, files={"processed": "move"}))
    for n, url in enumerate((case.env["CAMPAIGN_LOGS_URL"], "file://" + case.exports)):
        with open(os.path.join(folder, f"acs_broadlog_{n}.csv"), "w", encoding="ascii") as f:
            f.write(SENDING + sending(contacts_of(case)[n], n))
        stage = case.start(FLOW, "extract-campaign-logs", name=f"reads.{n}",
                           env={"CAMPAIGN_LOGS_URL": url + "/a%20b"})
        case.wait(lambda: os.listdir(folder) == ["processed"], 20, "the file to be moved")
        stage.stop()
    expect(len(events_in_topic(case)) == 2, f"{events_in_topic(case)}")

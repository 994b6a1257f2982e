"""khien broker and khien send: what lies in a file is what lies on the topic, also after a kill; the demonstration broker never forgets
silently. Needs no other service."""
import base64
import json
import re
import signal
import subprocess

import confluent_kafka
import pytest
from harness import BIN
from stand import TOP, wait_for

DEADLINE_S = 30


class Broker:
    def __init__(self, folder, topics):
        self.file = folder / "broker"
        self.process = subprocess.Popen([BIN, "broker", "--topics", topics, "--file", self.file], stderr=subprocess.PIPE, text=True)
        wait_for("the broker", lambda: self.file.exists() or self.process.poll() is not None, DEADLINE_S)
        self.address = self.file.read_text().splitlines()[0]

    def records(self, topic="complaints"):
        """{partition: [(key, value)]}, all there is from the first offset on."""
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, "group.id": "test", "auto.offset.reset": "error"})
        out = {}
        for partition in consumer.list_topics(topic, DEADLINE_S).topics[topic].partitions:
            at = confluent_kafka.TopicPartition(topic, partition, 0)
            low, high = consumer.get_watermark_offsets(at, DEADLINE_S)
            assert low == 0, "the broker forgot"
            consumer.assign([at])
            out[partition] = []
            while len(out[partition]) < high:
                message = consumer.poll(DEADLINE_S)
                assert message is not None and message.error() is None
                out[partition].append((message.key(), message.value()))
        consumer.close()
        return out

    def end(self):
        self.process.terminate()
        self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode


@pytest.fixture
def broker(tmp_path):
    it = Broker(tmp_path, "complaints:4,activity")
    yield it
    if it.process.poll() is None:
        it.end()


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "khien.yaml"
    path.write_text(f"database: {{dsn: none}}\nkafka: {{brokers_file: broker}}\nnumbers: {{dir: {TOP}/etc/numbers}}\n")
    return path


def send(conf, *args, check=0):
    done = subprocess.run([BIN, "send", "-c", conf, *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == check, done.stderr
    return json.loads(done.stdout), done.stderr


def report(n, content=""):
    return json.dumps({
        "schema": "complaint/1", "report_id": f"r{n}", "channel": "care", "kind": "V", "received_at": "2026-08-31T09:15:02+07:00",
        "reporter": "0912345678", "sender": f"081{n:07d}", "content": content,
    })  # fmt: skip


def ids(broker):
    return [json.loads(value)["report_id"] for part in broker.records().values() for _, value in part]


def test_byte_for_byte(broker, conf, tmp_path):
    good = report(7).encode()
    want = [good, b"not json \xff\r", b"a\nb", b"", None, b'{"report_id":"only:id"}', b"\x01"]
    lines = [good, b"", b"not json \xff\r", b"\x01base64:" + base64.b64encode(b"a\nb"), b"\x01base64:", b"\x01tombstone",
             b'{"report_id":"only:id"}', b"\x01base64:AQ==", b"\x01nonsense", b"\x01base64:A"]  # fmt: skip
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    said, errors = send(conf, tmp_path / "in.jsonl", check=1)
    assert (said["records"], said["empty_lines"], said["refused"]) == (7, 1, 2)
    assert "in.jsonl:9:" in errors and "in.jsonl:10:" in errors
    got = [pair for part in broker.records().values() for pair in part]
    assert sorted(map(repr, (value for _, value in got))) == sorted(map(repr, want))
    keys = {value: key for key, value in got}
    assert keys[good] == b"84810000007"
    assert keys[b'{"report_id":"only:id"}'] == b"only:id"
    assert keys[b"a\nb"] is None


def test_once_and_again(broker, conf, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(report(n) + "\n" for n in range(100)))
    assert send(conf, path)[0]["records"] == 100
    assert send(conf, path)[0] == {"records": 0, "bytes": 0, "resumed_after": 100, "empty_lines": 0, "refused": 0}
    with path.open("a") as more:
        more.write(report(100) + "\n")
    assert send(conf, path)[0]["records"] == 1
    assert sorted(ids(broker)) == sorted(f"r{n}" for n in range(101))
    assert send(conf, "--from-start", path)[0]["records"] == 101
    path.write_text("".join(report(n) + "\n" for n in range(200, 210)))
    assert send(conf, path)[0]["records"] == 10, "another file of the same name"


def test_one_sender_stays_on_one_partition(broker, conf, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(report(n % 20) + "\n" for n in range(400)))
    send(conf, path)
    parts = [{key for key, _ in part} for part in broker.records().values()]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 20


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_cut_off(broker, conf, tmp_path, how):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(report(n) + "\n" for n in range(6000)))
    first = subprocess.Popen([BIN, "send", "-c", conf, "--rate", "2000", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # positions are written about every second
    wait_for("a position", lambda: list(tmp_path.glob(".khien-send/file-*")), DEADLINE_S)
    first.send_signal(how)
    first.communicate(timeout=DEADLINE_S)
    assert first.returncode == (-how if how == signal.SIGKILL else 1)
    said, _ = send(conf, path)
    assert said["resumed_after"] > 0 and said["records"] + said["resumed_after"] == 6000
    got = ids(broker)
    assert set(got) == {f"r{n}" for n in range(6000)}
    assert len(got) < 12000
    if how == signal.SIGINT:
        assert len(got) == 6000


def test_the_demonstration_never_forgets(broker, conf, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("".join(report(n, "x" * 2000) + "\n" for n in range(9000)))
    said, errors = send(conf, path, check=1)
    assert "demonstration broker" in errors and re.search(r"in\.jsonl:\d+:", errors)
    assert 10_000_000 < said["bytes"] < 16_000_000
    assert len(ids(broker)) == said["records"]
    again, _ = send(conf, "--from-start", path, check=1)
    assert again["records"] < 200, "the budget is the broker's, not the run's"
    assert len(ids(broker)) == said["records"] + again["records"]


def test_broker_leaves_nothing(broker):
    assert "topic complaints 4" in broker.file.read_text() and "topic activity 1" in broker.file.read_text()
    assert broker.end() == 0
    assert not broker.file.exists()


@pytest.mark.parametrize("args", [[], ["--topics", "a:0", "--file", "f"], ["--topics", "a:x", "--file", "f"], ["--topics", ":1", "--file", "f"]])
def test_broker_usage(args, tmp_path):
    assert subprocess.run([BIN, "broker", *args], cwd=tmp_path, capture_output=True).returncode == 2


def test_no_broker_yet(conf, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(report(1))
    done = subprocess.run([BIN, "send", "-c", conf, path], capture_output=True, text=True)
    assert done.returncode == 1 and str(tmp_path / "broker") in done.stderr


FTC = "Company_Phone_Number,Created_Date,Violation_Date,Consumer_City,Consumer_State,Consumer_Area_Code,Subject,Recorded_Message_Or_Robocall"
PORTAL = "id,received_at,reporter,kind,source,content"


def test_tables_and_xarf(broker, conf, tmp_path):
    """Files of others: each row a report, rows that slipped are refused by line, a forgotten quote costs one line, and what was sent is
    not sent again."""
    ftc, portal, xarf = tmp_path / "ftc.csv", tmp_path / "portal.csv", tmp_path / "feed.jsonl"
    ftc.write_text(f"{FTC}\n" + "".join(f"20255501{n:02},2024-01-15 14:30:25,,,,,Other,N\n" for n in range(50)) + "Ohio,2025550143,2024-01-15,,,,Other,N\n")
    portal.write_text(
        f'{PORTAL}\n1,31/08/2026 09:15,0912345678,S,SHOP69,"hai\ndong"\n2,31/08/2026 09:15,0912345678,V,0812341213,"quen\n'
        "3,31/08/2026 09:16,0912345678,LD,0812341213,x\n\n"
    )
    org = {"org": "B", "contact": "abuse@b.example", "domain": "b.example"}
    it = {"xarf_version": "4.0.0", "report_id": "123e4567-e89b-12d3-a456-426614174000", "timestamp": "2026-08-31T02:15:02Z", "reporter": org,
          "sender": org, "source_identifier": "+84812341213", "category": "messaging", "type": "spam", "protocol": "sms"}  # fmt: skip
    xarf.write_text(json.dumps(it) + "\n" + json.dumps({**it, "type": "phishing"}) + "\n")
    said, errors = send(conf, ftc, portal, xarf, check=1)
    assert (said["records"], said["refused"], said["empty_lines"]) == (53, 3, 1)
    assert "ftc.csv:52: " in errors and "portal.csv:4: " in errors and "feed.jsonl:2: " in errors
    got = {json.loads(v)["report_id"]: json.loads(v) for part in broker.records().values() for _, v in part}
    assert len(got) == 53 and {"portal:1", "portal:3", f"xarf:{it['report_id']}"} <= set(got)
    assert got["portal:1"]["content"] == "hai\ndong" and got["portal:1"]["received_at"] == "2026-08-31T09:15:00+07:00"
    assert send(conf, ftc, portal)[0]["records"] == 0
    with ftc.open("a") as more:
        more.write("2025550199,2024-01-15,,,,,Other,N\n")
    assert send(conf, ftc)[0]["records"] == 1
    assert send(conf, "--from-start", ftc, check=1)[0]["records"] == 51
    assert len(set(ids(broker))) == 54
    done = subprocess.run([BIN, "send", "-c", conf, "-"], input=portal.read_text(), capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["records"] == 1, "a pipe cannot go back: the row with the forgotten quote takes the rest along"
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    done = subprocess.run([BIN, "send", "-c", conf, tmp_path / "other.csv"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "other.csv:1: " in done.stderr

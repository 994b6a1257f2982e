#!/usr/bin/python3
"""Reads the list from its compacted Kafka topic to the end, proves it, and prints what it holds: one line list|release|count|digest, with
--list also its entries. Exit 1 when the entries are not what the newest release says. Needs confluent_kafka alone.

    topic_reader.py BROKERS TOPIC [--list]
"""
import calendar
import hashlib
import json
import sys
import time

import confluent_kafka


def records(brokers, topic):
    """(partition, key, value or None, headers) of every committed record, to the end of every partition."""
    settings = {"group.id": "topic-reader", "enable.auto.commit": False, "isolation.level": "read_committed", "enable.partition.eof": True}
    c = confluent_kafka.Consumer({"bootstrap.servers": brokers, **settings})
    parts = c.list_topics(topic, timeout=20).topics[topic].partitions
    c.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in parts])
    ends = 0
    while ends < len(parts):
        m = c.poll(20)
        if m is None:
            raise SystemExit("the brokers do not answer")
        if m.error() is None:
            yield m.partition(), m.key(), m.value(), {k: v.decode() for k, v in m.headers() or []}
        elif m.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
            ends += 1
        else:
            raise SystemExit(str(m.error()))
    c.close()


def line(e):
    until = 0 if e["until"] is None else calendar.timegm(time.strptime(e["until"], "%Y-%m-%dT%H:%M:%SZ"))
    return "|".join([e["scope"], e["value"], e["service"], e["action"], e["case"], str(until)])


def main(brokers, topic, *more):
    held, newest = {}, None
    for partition, key, value, headers in records(brokers, topic):
        held.pop((partition, key), None)
        if value is not None:
            held[partition, key] = line(json.loads(value))
            if newest is None or int(headers["release"]) >= int(newest["release"]):
                newest = headers
    digest = "%064x" % (sum(int.from_bytes(hashlib.sha256(s.encode()).digest(), "big") for s in held.values()) % 2**256)
    if newest is None:
        print("the topic holds no entry")
        return 0
    if (newest["count"], newest["digest"]) != (str(len(held)), digest):
        print(f"{len(held)} entries that are not release {newest['release']}", file=sys.stderr)
        return 1
    print("|".join([newest["list"], newest["release"], newest["count"], digest]))
    if "--list" in more:
        print("\n".join(sorted(held.values())))
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

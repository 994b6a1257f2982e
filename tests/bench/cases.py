#!/usr/bin/python3
"""An authority's order of 100,000 numbers: from `khien order import` to the release that lists the last of them, as a feed client sees it; then the
abuse team's queue with a history. Usage: cases.py [NUMBERS [CASES REPORTS]]; the queue's full size is 500000 10000000."""
import hashlib
import json
import subprocess
import sys
import time

import case_queue
import spine


def order_file(path, numbers):
    items = [f"09{(i * 7919 + 10_000_000) % 10**8:08d}" for i in range(numbers)]
    head = {
        "schema": "order/1", "document_no": f"bench/{numbers}", "issuer": "bench", "signed_at": "2026-09-01T08:00:00+07:00",
        "received_at": "2026-09-01T09:00:00+07:00", "legal_basis": "bench", "action": "bar_in", "service": "both",
        "list_sha256": hashlib.sha256("".join(f"{i}\n" for i in items).encode()).hexdigest(),
    }  # fmt: skip
    path.write_text("\n".join([json.dumps(head), "sender", *items, ""]))


def main():
    numbers = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    stand = spine.Stand()
    try:
        for topic in ("complaints:4", "outcomes:1"):
            subprocess.run([spine.TOP / "tests/kafka-local", "topic", "--dir", stand.dir / "stand/kafka", topic], check=True,
                           stderr=subprocess.DEVNULL)
        stand.configure()
        stand.start_engine()
        path = stand.dir / "order.csv"
        order_file(path, numbers)
        begun = time.monotonic()
        subprocess.run([spine.KHIEN, "order", "import", "-c", stand.conf, path], check=True, stdout=subprocess.DEVNULL)
        imported = time.monotonic()
        while stand.sql("SELECT coalesce(max(count), 0) FROM list_head")[0][0] < 2 * numbers:
            time.sleep(0.02)
        published = time.monotonic()
        while True:  # until a client's whole list holds them
            head = json.loads(stand.get("/v1/feed/snapshot").split(b"\n", 1)[0])
            if head["count"] >= 2 * numbers:
                break
            time.sleep(0.02)
        seen = time.monotonic()
        print(f"cases: an order of {numbers} numbers for both services: {imported - begun:.1f} s to import, {published - begun:.1f} s to the "
              f"release with the last of them, {seen - begun:.1f} s to a client's snapshot   (aim 10 s)")
        case_queue.bench(stand, *(int(a) for a in sys.argv[2:4] or (20_000, 200_000)))
    finally:
        stand.close()


if __name__ == "__main__":
    main()

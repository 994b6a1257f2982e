"""Part of `bench ingest`: a backlog through the whole engine, with one worker and with two: records a second from the first committed batch to
the last one released, and the engine's memory on the way and at its peak. All services share this machine's cores. Leaves out the
plain COPY beside it (`bench spine`). Usage: catch_up.py RECORDS [SENDERS]"""
import subprocess
import sys
import threading
from pathlib import Path

import spine


class Memory(threading.Thread):
    """What the process holds, four times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.seen, self.ended = pid, [], threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(0.25):
            status = Path(f"/proc/{self.pid}/status").read_text()
            self.seen.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)

    def at(self, share):
        return self.seen[min(len(self.seen) - 1, int(len(self.seen) * share))] if self.seen else float("nan")


def catch_up(workers, records, senders):
    spine.WORKERS = workers
    stand = spine.Stand()
    try:
        for topic in (f"complaints:{spine.PARTITIONS}", "outcomes:1", "registry-requests:1"):
            subprocess.run([spine.TOP / "tests/kafka-local", "topic", "--dir", stand.dir / "stand/kafka", topic], check=True, stderr=subprocess.DEVNULL)
        stand.configure()
        spine.produce_backlog(stand, records, senders)
        stand.start_engine()
        memory, before = Memory(stand.engine.pid), spine.cpu_seconds(stand)
        rate, whole = spine.drain(stand, records)
        memory.ended.set()
        memory.join()
        after = spine.cpu_seconds(stand)
        missing, = stand.sql("SELECT coalesce(sum(missing), 0) FROM conservation")[0]
        used = ", ".join(f"{name} {(after[name] - before[name]) / records * 1e6:.1f}" for name in after)
        print(f"catch-up of {records:,} records, {workers} worker{'s' if workers > 1 else ''}: {rate:,.0f} records/s ({whole:.1f} s with the start); "
              f"memory {memory.at(0.25):.0f} MB after a quarter, {memory.at(0.75):.0f} after three, peak {spine.memory_mb(stand):.0f}; "
              f"us of processor time a record: {used}; missing {missing}", flush=True)
        if missing != 0:
            sys.exit("records are missing")
    finally:
        stand.close()


if __name__ == "__main__":
    number = int(sys.argv[1])
    for how_many in (1, 2):
        catch_up(how_many, number, int(sys.argv[2]) if len(sys.argv) > 2 else max(1000, number // 10))

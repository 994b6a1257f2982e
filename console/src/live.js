// One stream of events for the whole page: what it says is only that something changed; views read again. Where it cannot be had, a look every
// few seconds. `now` moves by itself, for the clocks.
import { useEffect, useState } from "preact/hooks";

const LOOK_MS = 10000;
const LEAST_MS = 2000; // between two readings, however much happens
const MOST_MS = 60000;

export function useLive() {
  const [tick, setTick] = useState(0);
  const [now, setNow] = useState(Date.now());
  const [on, setOn] = useState(false);
  useEffect(() => {
    let timer = 0;
    let pending = 0;
    let last = Date.now();
    const changed = () => {
      // a burst of events is one reading
      if (pending) return;
      const wait = Math.max(200, last + LEAST_MS - Date.now());
      pending = setTimeout(() => {
        pending = 0;
        last = Date.now();
        if (!document.hidden) setTick((n) => n + 1);
      }, wait);
    };
    const source = new EventSource("/v1/events");
    source.onopen = () => setOn(true);
    source.addEventListener("change", changed);
    source.onerror = () => setOn(false);
    timer = setInterval(() => {
      setNow(Date.now());
      if (source.readyState !== EventSource.OPEN || Date.now() - last > MOST_MS) changed();
    }, LOOK_MS);
    const seen = () => document.hidden || changed();
    document.addEventListener("visibilitychange", seen);
    return () => {
      source.close();
      clearInterval(timer);
      clearTimeout(pending);
      document.removeEventListener("visibilitychange", seen);
    };
  }, []);
  return { tick, now, on };
}

// The counts of refused requests in an isolate, over a real GATEHOUSE_DB.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { MAX_COUNTS, createRefusedRequests } from "../../src/audit/refused-requests.ts";
import { REFUSED_REQUEST_DAYS, createRefusedRequestsStore } from "../../src/audit/refused-requests-store.ts";

const store = createRefusedRequestsStore(env.GATEHOUSE_DB);
const MINUTE = 1_790_000_040_000;
const NETWORK = "203.0.113.0/24";

beforeEach(async () => {
  await env.GATEHOUSE_DB.exec("DELETE FROM refused_request");
});

/** Creates the counts of an isolate. `clock.ms` is its time, `settle` waits for its writes. */
function createIsolate() {
  const clock = { ms: MINUTE };
  const writes: number[] = [];
  const background: Promise<unknown>[] = [];
  const errors: unknown[] = [];
  const failing = { next: false };
  const requests = createRefusedRequests({
    store: {
      async add(counts) {
        writes.push(counts.length);
        if (failing.next) throw new Error("D1_ERROR: unavailable");
        await store.add(counts);
      },
    },
    now: () => clock.ms,
    waitUntil: (work) => background.push(work),
    onError: (error) => errors.push(error),
  });
  const settle = async (): Promise<void> => void (await Promise.all(background.splice(0)));
  return { requests, clock, writes, errors, failing, settle };
}

describe("counts of refused requests", () => {
  it("are grouped by minute, cause and network, however many requests there were", async () => {
    const { requests, clock, settle } = createIsolate();
    for (let times = 0; times < 1000; times += 1) requests.count("no_access_token", NETWORK);
    requests.count("wrong_host", NETWORK);
    requests.count("no_access_token", "2001:db8:1::/48");
    clock.ms += 60_000;
    requests.count("no_access_token", NETWORK);
    requests.flushIfDue();
    await settle();
    expect(await store.list(0, 10)).toEqual([
      { minuteMs: MINUTE + 60_000, cause: "no_access_token", network: NETWORK, count: 1 },
      { minuteMs: MINUTE, cause: "no_access_token", network: NETWORK, count: 1000 },
      { minuteMs: MINUTE, cause: "no_access_token", network: "2001:db8:1::/48", count: 1 },
      { minuteMs: MINUTE, cause: "wrong_host", network: NETWORK, count: 1 },
    ]);
    expect(await store.list(MINUTE + 1, 10)).toHaveLength(1);
    expect(await store.list(0, 2)).toHaveLength(2);
  });

  it("are written at most every ten seconds, and only when there are any", async () => {
    const { requests, clock, writes, settle } = createIsolate();
    requests.flushIfDue();
    expect(writes).toEqual([]);
    for (let second = 0; second < 25; second += 1) {
      requests.count("wrong_path", NETWORK);
      requests.flushIfDue();
      clock.ms += 1000;
    }
    await settle();
    expect(writes).toHaveLength(3);
    clock.ms += 10_000;
    requests.flushIfDue();
    await settle();
    expect((await store.list(0, 10)).map(({ count }) => count)).toEqual([25]);
    expect(writes).toHaveLength(4);
  });

  it("of several isolates add up", async () => {
    const isolates = [createIsolate(), createIsolate()];
    for (const { requests, settle } of isolates) {
      requests.count("token_request", NETWORK);
      requests.flushIfDue();
      await settle();
    }
    expect(await store.list(0, 10)).toMatchObject([{ cause: "token_request", count: 2 }]);
  });

  it("are bounded: requests of further networks and causes count as one", async () => {
    const { requests, clock, writes, settle } = createIsolate();
    for (let block = 0; block < 3 * MAX_COUNTS; block += 1) requests.count("no_access_token", `10.0.${block}.0/24`);
    clock.ms += 120_000;
    requests.count("wrong_host", "10.9.9.0/24");
    requests.count("no_access_token", "10.9.9.0/24");
    requests.flushIfDue();
    await settle();
    expect(writes).toEqual([MAX_COUNTS + 1]);
    const counts = await store.list(0, 1000);
    expect(counts.filter(({ network }) => network === "other")).toEqual([
      { minuteMs: MINUTE, cause: "other", network: "other", count: 2 * MAX_COUNTS + 2 },
    ]);
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(3 * MAX_COUNTS + 2);
  });

  it("are kept for the next write when the database fails, with the error in the log", async () => {
    const { requests, clock, errors, failing, settle } = createIsolate();
    failing.next = true;
    requests.count("registration", NETWORK);
    requests.flushIfDue();
    await settle();
    expect(String(errors)).toContain("unavailable");
    failing.next = false;
    clock.ms += 10_000;
    requests.count("registration", NETWORK);
    requests.flushIfDue();
    await settle();
    expect(await store.list(0, 10)).toMatchObject([{ cause: "registration", count: 2 }]);
  });
});

describe("stored counts", () => {
  it("are deleted after 90 days", async () => {
    const refused = { cause: "wrong_host", network: NETWORK, count: 1 } as const;
    await store.add([
      { ...refused, minuteMs: MINUTE },
      { ...refused, minuteMs: MINUTE + 60_000 },
    ]);
    await store.purge(MINUTE + REFUSED_REQUEST_DAYS * 86_400_000 + 1);
    expect(await store.list(0, 10)).toMatchObject([{ minuteMs: MINUTE + 60_000 }]);
  });
});

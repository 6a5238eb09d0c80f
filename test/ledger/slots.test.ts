// One query at a time per person and source: who waits, in which order, and what frees a slot that nobody gives back.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createSlots } from "../../src/ledger/slots.ts";
import type { Slots } from "../../src/ledger/slots.ts";
import type { Attempt, Outcome } from "../../src/ledger/record.ts";
import { newId } from "../../src/lib/ids.ts";

const NOW = 1_700_000_000_000;
const ANN = { subjectId: "s", email: "ann@x.example", groups: [] };

/** Runs over the slots of a subject that nobody else uses; the time is the test's. */
async function withSlots(
  work: (slots: Slots, clock: { ms: number }) => Promise<void>,
  limits = { queueSeconds: 5, holdSeconds: 60 },
): Promise<void> {
  const clock = { ms: NOW };
  const ledger = env.LEDGER.get(env.LEDGER.newUniqueId());
  await runInDurableObject(ledger, async (_instance, { storage }) =>
    work(
      createSlots(storage.sql, limits, () => clock.ms),
      clock,
    ),
  );
}

describe("a slot", () => {
  it("is one call's, and then that of who waited longest", () =>
    withSlots(async (slots) => {
      expect(await slots.take("shop", "a")).toBe(true);
      const order: string[] = [];
      const waiting = ["b", "c", "d"].map(async (call) => {
        expect(await slots.take("shop", call)).toBe(true);
        order.push(call);
      });
      for (const call of ["a", "b", "c"]) {
        slots.release(call);
        await Promise.resolve();
      }
      await Promise.all(waiting);
      expect(order).toEqual(["b", "c", "d"]);
    }));

  it("is free again when the process of its call has ended, and stays with a call of this process", () =>
    withSlots(async (slots, clock) => {
      expect(await slots.take("shop", "a")).toBe(true);
      clock.ms += 10;
      expect(await slots.take("ops", "b")).toBe(true);
      slots.releaseBefore(NOW + 5);
      expect(await slots.take("shop", "c")).toBe(true);
      const waits = slots.take("ops", "d");
      slots.release("b");
      expect(await waits).toBe(true);
      slots.releaseBefore(NOW + 10);
      expect(await Promise.race([slots.take("ops", "e"), Promise.resolve("waits")])).toBe("waits");
      slots.release("d");
    }));

  it("of one source does not hold up another", () =>
    withSlots(async (slots) => {
      expect(await slots.take("shop", "a")).toBe(true);
      expect(await slots.take("ops", "b")).toBe(true);
    }));

  it("does not come in time for everybody, and not for too many", () =>
    withSlots(
      async (slots) => {
        await slots.take("shop", "a");
        const waiting = Array.from({ length: 20 }, async (_value, index) => slots.take("shop", `w${index}`));
        expect(await slots.take("shop", "one more")).toBe(false);
        expect(new Set(await Promise.all(waiting))).toEqual(new Set([false]));
        slots.release("a");
        expect(await slots.take("shop", "b")).toBe(true);
      },
      { queueSeconds: 0.05, holdSeconds: 60 },
    ));

  it("that nobody gives back is free after its time", () =>
    withSlots(async (slots, clock) => {
      await slots.take("shop", "a");
      clock.ms += 60_000;
      expect(await slots.take("shop", "b")).toBe(true);
      slots.release("a");
      const late = slots.take("shop", "c");
      slots.release("b");
      expect(await late).toBe(true);
    }));
});

describe("the ledger", () => {
  const outcome: Outcome = {
    result: "answered",
    code: null,
    roles: ["analyst"],
    datasets: [],
    rules: [],
    denials: [],
    masked: [],
    untrusted: [],
    rows: 0,
    cut: false,
    kept: null,
  };
  const attempt = (): Attempt => ({
    call: newId(),
    subjectId: "s",
    clientId: "c",
    owner: null,
    operation: "query",
    asked: "",
  });

  it("lets the next query in when one was committed, and not while it still runs", async () => {
    const object = env.LEDGER.get(env.LEDGER.idFromName(newId()));
    const [one, two, three] = [attempt(), attempt(), attempt()];
    expect(await object.begin(one, ANN, 0, "shop")).toMatchObject({ ok: true });
    const second = object.begin(two, ANN, 0, "shop");
    await object.commit(one.call, outcome, { slot: "freed", bookmark: null });
    expect(await second).toMatchObject({ ok: true });
    await object.commit(two.call, outcome, { slot: "kept", bookmark: null });
    const third = object.begin(three, ANN, 0, "shop");
    expect(await Promise.race([third, object.begin(attempt(), ANN, 0, null)])).toMatchObject({ ok: true });
    expect(await object.records(0, 10)).toHaveLength(2);
    await object.release(two.call);
    expect(await third).toMatchObject({ ok: true });
  });

  it("remembers who runs through a restart", async () => {
    const object = env.LEDGER.get(env.LEDGER.idFromName(newId()));
    const [one, two] = [attempt(), attempt()];
    await object.begin(one, ANN, 0, "shop");
    await evictDurableObject(object);
    const second = object.begin(two, ANN, 0, "shop");
    await object.commit(one.call, outcome, { slot: "freed", bookmark: null });
    expect(await second).toMatchObject({ ok: true });
  });
});

describe("a bookmark", () => {
  it("is what the last query on a source saw, and another source's is another", () =>
    withSlots(async (slots) => {
      await slots.take("shop", "a");
      await slots.take("ops", "b");
      expect(slots.bookmark("shop")).toBeNull();
      slots.keepBookmark("a", "one");
      slots.release("a");
      slots.keepBookmark("a", "too late");
      expect(slots.bookmark("shop")).toBe("one");
      expect(slots.bookmark("ops")).toBeNull();
    }));
});

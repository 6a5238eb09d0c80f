// The mutex of a grant: the order of waiting requests, its limits, and requests that throw or hang.
import { describe, expect, it } from "vitest";
import { createGrantMutex } from "../../../src/oauth/grants/grant-mutex.ts";

const LIMITS = { maxWaitMs: 5000, maxHoldMs: 5000, maxWaiting: 3 };

/** Creates work that runs until the test finishes it. */
function createWork() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, finish: () => resolve() };
}

describe("the grant mutex", () => {
  it("runs requests of one name in order, and another name's at the same time", async () => {
    const mutex = createGrantMutex(LIMITS);
    const order: string[] = [];
    const [first, second] = [createWork(), createWork()];
    const run = async (name: string, label: string, until?: Promise<void>) =>
      mutex.runExclusive(name, async () => {
        order.push(`${label} began`);
        await until;
        order.push(`${label} ended`);
      });
    const runs = [run("g", "a", first.promise), run("g", "b", second.promise), run("g", "c")];
    await run("other", "other");
    expect(order).toEqual(["a began", "other began", "other ended"]);
    // The second could finish at once, but it has not started.
    second.finish();
    first.finish();
    await Promise.all(runs);
    expect(order.slice(3)).toEqual(["a ended", "b began", "b ended", "c began", "c ended"]);
    expect(await mutex.runExclusive("g", async () => "free again")).toBe("free again");
  });

  it("runs the next request after one that threw", async () => {
    const mutex = createGrantMutex(LIMITS);
    const failed = mutex.runExclusive("g", async () => Promise.reject(new Error("of the first")));
    const next = mutex.runExclusive("g", async () => "next");
    await expect(failed).rejects.toThrow("of the first");
    expect(await next).toBe("next");
  });

  it("returns undefined when too many requests wait, or one waits too long", async () => {
    const mutex = createGrantMutex({ ...LIMITS, maxWaitMs: 20 });
    const hanging = createWork();
    const first = mutex.runExclusive("g", async () => hanging.promise);
    const waiting = Array.from({ length: 3 }, async () => mutex.runExclusive("g", async () => "ran"));
    expect(await mutex.runExclusive("g", async () => "ran")).toBeUndefined();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined, undefined]);
    hanging.finish();
    await first;
    expect(await mutex.runExclusive("g", async () => "ran")).toBe("ran");
  });

  it("takes the hold from a request that hangs, tells it so, and passes the hold on once", async () => {
    const mutex = createGrantMutex({ ...LIMITS, maxHoldMs: 20 });
    const hanging = createWork();
    const isHeldValues: boolean[] = [];
    const first = mutex.runExclusive("g", async (hold) => {
      isHeldValues.push(hold.isHeld());
      await hanging.promise;
      isHeldValues.push(hold.isHeld());
    });
    let active = 0;
    const countActive = async (): Promise<number> => {
      active += 1;
      const activeCount = active;
      await Promise.resolve();
      active -= 1;
      return activeCount;
    };
    const second = mutex.runExclusive("g", async () => {
      const activeCount = await countActive();
      hanging.finish();
      await first;
      return activeCount;
    });
    const third = mutex.runExclusive("g", countActive);
    expect(await second).toBe(1);
    expect(await third).toBe(1);
    expect(isHeldValues).toEqual([true, false]);
  });
});

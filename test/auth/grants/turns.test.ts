// One request at a time on a grant: who waits, in which order, and what a request that hangs holds up.
import { describe, expect, it } from "vitest";
import { createTurns } from "../../../src/auth/grants/turns.ts";

const LIMITS = { waitMs: 5000, holdMs: 5000, maxWaiting: 3 };

/** Work that goes on until the test says so. */
function work() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, finish: () => resolve() };
}

describe("a turn", () => {
  it("is one request's, and then that of who waited longest; another name's goes on beside it", async () => {
    const turns = createTurns(LIMITS);
    const order: string[] = [];
    const [first, second] = [work(), work()];
    const run = async (name: string, label: string, until?: Promise<void>) =>
      turns.run(name, async () => {
        order.push(`${label} began`);
        await until;
        order.push(`${label} ended`);
      });
    const runs = [run("g", "a", first.promise), run("g", "b", second.promise), run("g", "c")];
    await run("other", "other");
    expect(order).toEqual(["a began", "other began", "other ended"]);
    // The second could end at once, but it has not begun.
    second.finish();
    first.finish();
    await Promise.all(runs);
    expect(order.slice(3)).toEqual(["a ended", "b began", "b ended", "c began", "c ended"]);
    expect(await turns.run("g", async () => "free again")).toBe("free again");
  });

  it("goes on after work that threw", async () => {
    const turns = createTurns(LIMITS);
    const failed = turns.run("g", async () => Promise.reject(new Error("of the first")));
    const next = turns.run("g", async () => "next");
    await expect(failed).rejects.toThrow("of the first");
    expect(await next).toBe("next");
  });

  it("is not for more than may wait, nor for ever", async () => {
    const turns = createTurns({ ...LIMITS, waitMs: 20 });
    const hanging = work();
    const first = turns.run("g", async () => hanging.promise);
    const waiting = Array.from({ length: 3 }, async () => turns.run("g", async () => "turn"));
    expect(await turns.run("g", async () => "turn")).toBeUndefined();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined, undefined]);
    hanging.finish();
    await first;
    expect(await turns.run("g", async () => "turn")).toBe("turn");
  });

  it("is taken from who holds it too long, who is told so, and is given to the next once", async () => {
    const turns = createTurns({ ...LIMITS, holdMs: 20 });
    const hanging = work();
    const seen: boolean[] = [];
    const first = turns.run("g", async (turn) => {
      seen.push(turn.isCurrent());
      await hanging.promise;
      seen.push(turn.isCurrent());
    });
    let active = 0;
    const inside = async (): Promise<number> => {
      active += 1;
      const most = active;
      await Promise.resolve();
      active -= 1;
      return most;
    };
    const second = turns.run("g", async () => {
      const most = await inside();
      hanging.finish();
      await first;
      return most;
    });
    const third = turns.run("g", inside);
    expect(await second).toBe(1);
    expect(await third).toBe(1);
    expect(seen).toEqual([true, false]);
  });
});

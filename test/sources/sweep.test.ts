// The sweep of the document index: it finds what was put, edited and removed outside, goes on where it was cut off, and two of
// them at once are no worse than one.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { KEYS_PER_READ } from "../../src/sources/kv-documents.ts";
import { sweep } from "../../src/sources/sweep.ts";
import type { SweepParts } from "../../src/sources/sweep.ts";
import { indexed, sweepParts } from "../support/library.ts";

const HOUR = 3_600_000;
let nowMs = Date.UTC(2026, 0, 1);
/** Each test has a source of its own over the same namespace. */
let name = "";
let count = 0;

const keyOf = (index: number): string => `d/${String(index).padStart(3, "0")}.md`;
const found = async (word: string, parts = sweepParts(name)): Promise<readonly string[]> =>
  (await parts.index.find([word], 100, nowMs)).hits.map(({ key }) => key);

/** With pages of so many keys, so that a few documents make many steps. */
function paged(pageSize: number, parts: SweepParts = sweepParts(name)): SweepParts {
  const { documents } = parts;
  const list: typeof documents.list = async (options) => documents.list({ ...options, limit: pageSize });
  return { ...parts, now: () => nowMs, documents: { ...documents, list } };
}

beforeEach(async () => {
  name = `s${(count += 1)}`;
  nowMs += 24 * HOUR;
  const { keys } = await env.HANDBOOK.list();
  await Promise.all(keys.map(async (key) => env.HANDBOOK.delete(key.name)));
  for (let index = 0; index < 12; index += 1) await env.HANDBOOK.put(keyOf(index), `# Note ${index}\n\nAbout anchors.`);
});

describe("a sweep", () => {
  it("indexes what is there, then what was put, edited and removed since, and writes nothing where nothing changed", async () => {
    await sweep(paged(5));
    expect(await indexed(name)).toEqual({ keys: Array.from({ length: 12 }, (_v, index) => keyOf(index)), rows: 12 });
    await env.HANDBOOK.put("a.md", "# First\n\nnewcomer");
    await env.HANDBOOK.put("z.md", "# Last\n\nnewcomer");
    await env.HANDBOOK.put(keyOf(3), "# Note 3\n\nAbout fenders.");
    await env.HANDBOOK.delete(keyOf(0));
    await env.HANDBOOK.delete(keyOf(11));
    await sweep(paged(5));
    expect(await found("newcomer")).toEqual([]);
    nowMs += HOUR;
    await sweep(paged(5));
    expect((await found("newcomer")).toSorted()).toEqual(["a.md", "z.md"]);
    expect(await found("fenders")).toEqual([keyOf(3)]);
    expect(await found("anchors")).toHaveLength(9);
    expect((await indexed(name)).rows).toBe(12);
    nowMs += HOUR;
    await sweep({ ...paged(5), index: { ...sweepParts(name).index, put: refuse, remove: refuse } });
    expect((await sweepParts(name).index.find(["x"], 5, nowMs)).sweptMs).toBe(nowMs);
  });

  it("of an empty namespace ends, and removes what was indexed", async () => {
    await sweep(paged(5));
    const { keys } = await env.HANDBOOK.list();
    await Promise.all(keys.map(async (key) => env.HANDBOOK.delete(key.name)));
    nowMs += HOUR;
    await sweep(paged(5));
    expect(await indexed(name)).toEqual({ keys: [], rows: 0 });
    expect((await sweepParts(name).index.find(["anchors"], 5, nowMs)).sweptMs).toBe(nowMs);
  });

  it("stops at its bound, and the next run goes on behind it", async () => {
    const parts = { ...paged(5), sweepDocuments: 5 };
    for (const rows of [5, 10, 12]) {
      expect((await parts.index.find(["anchors"], 5, nowMs)).sweptMs).toBeNull();
      await sweep(parts);
      expect((await indexed(name)).rows).toBe(rows);
    }
    expect((await parts.index.find(["anchors"], 5, nowMs)).sweptMs).toBe(nowMs);
  });

  it("two at once do what one does", async () => {
    await Promise.all([sweep(paged(3)), sweep(paged(3)), sweep(paged(3))]);
    expect((await indexed(name)).rows).toBe(12);
    // Also where neither sees the other's lease: it is over before the page is done.
    await env.HANDBOOK.delete(keyOf(5));
    await env.HANDBOOK.put("new.md", "# New\n\nAbout anchors.");
    nowMs += HOUR;
    const leaseless = (): SweepParts => {
      const parts = paged(3);
      return { ...parts, sweeps: { ...parts.sweeps, begin: async (at) => parts.sweeps.begin(at, 0) } };
    };
    await Promise.all([sweep(leaseless()), sweep(leaseless()), sweep(leaseless())]);
    expect((await indexed(name)).rows).toBe(12);
    expect(await found("new")).toEqual(["new.md"]);
  });

  it("that has lost its place changes nothing there", async () => {
    const parts = paged(5);
    const place = await parts.sweeps.begin(nowMs, 0);
    if (place === undefined) throw new Error("a first sweep begins");
    await sweep(parts);
    const page = { keys: [], next: null };
    expect(await parts.sweeps.advance(place, page, { leaseUntilMs: 0, dueMs: 0 })).toBe(false);
    expect((await indexed(name)).rows).toBe(12);
  });

  it("cut off between any two steps is finished by the next", async () => {
    let steps = 0;
    for (let cut = 1, isCut = true; isCut; cut += 1) {
      name = `cut${cut}`;
      steps = 0;
      isCut = false;
      const step = (): void => {
        steps += 1;
        isCut = steps === cut;
        if (isCut) throw new Error("the lights went out");
      };
      await sweep(cutting(paged(5), step)).catch((error: unknown) => expect(String(error)).toContain("lights"));
      await env.HANDBOOK.put(keyOf(7), `# Note 7\n\nEdited in round ${cut}.`);
      // The lease of the dead one is over.
      nowMs += HOUR;
      await sweep(paged(5));
      nowMs += HOUR;
      await sweep(paged(5));
      expect(await indexed(name), `cut at ${cut}`).toMatchObject({ rows: 12 });
      expect(await found(String(cut)), `cut at ${cut}`).toContain(keyOf(7));
    }
    expect(steps).toBeGreaterThan(20);
  }, 60_000);

  it("reads documents that are too much for one answer of KV", async () => {
    const large = `# Large\n\n${"cargo ".repeat(1_500_000)}`;
    for (let index = 0; index < 4; index += 1) await env.HANDBOOK.put(`large/${index}.md`, large);
    await sweep(paged(KEYS_PER_READ));
    expect(await found("cargo")).toHaveLength(4);
  }, 60_000);
});

async function refuse(): Promise<never> {
  throw new Error("nothing has changed");
}

/** Every call of KV and of the index is a step before and a step behind. */
function cutting(parts: SweepParts, step: () => void): SweepParts {
  const around = <T extends object>(part: T): T =>
    new Proxy(part, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        return async (...given: unknown[]): Promise<unknown> => {
          step();
          const answer: unknown = await Reflect.apply(value, target, given);
          step();
          return answer;
        };
      },
    });
  return { ...parts, documents: around(parts.documents), index: around(parts.index), sweeps: around(parts.sweeps) };
}

// Reindexing documents: a pass indexes documents that were added, edited or deleted outside Gatehouse, continues after an
// interruption, and may run concurrently with others.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { KEYS_PER_READ } from "../../src/documents/kv-documents.ts";
import { reindex } from "../../src/documents/reindex.ts";
import type { ReindexParts } from "../../src/documents/reindex.ts";
import { indexed, sweepParts } from "../support/library.ts";

const HOUR = 3_600_000;
let nowMs = Date.UTC(2026, 0, 1);
/** Each test uses its own source name over the same namespace. */
let name = "";
let count = 0;

const formatKey = (index: number): string => `d/${String(index).padStart(3, "0")}.md`;
const findKeys = async (word: string, parts = sweepParts(name)): Promise<readonly string[]> =>
  (await parts.index.find([word], 100, nowMs)).hits.map(({ key }) => key);

/** Uses small pages, so that a few documents take many steps. */
function withPageSize(pageSize: number, parts: ReindexParts = sweepParts(name)): ReindexParts {
  const { documents } = parts;
  const list: typeof documents.list = async (options) => documents.list({ ...options, limit: pageSize });
  return { ...parts, now: () => nowMs, documents: { ...documents, list } };
}

beforeEach(async () => {
  name = `s${(count += 1)}`;
  nowMs += 24 * HOUR;
  const { keys } = await env.HANDBOOK.list();
  await Promise.all(keys.map(async (key) => env.HANDBOOK.delete(key.name)));
  for (let index = 0; index < 12; index += 1)
    await env.HANDBOOK.put(formatKey(index), `# Note ${index}\n\nAbout anchors.`);
});

describe("reindex", () => {
  it("indexes added, edited and deleted documents when a pass is due, and writes nothing when nothing changed", async () => {
    await reindex(withPageSize(5));
    expect(await indexed(name)).toEqual({
      keys: Array.from({ length: 12 }, (_v, index) => formatKey(index)),
      rows: 12,
    });
    await env.HANDBOOK.put("a.md", "# First\n\nnewcomer");
    await env.HANDBOOK.put("z.md", "# Last\n\nnewcomer");
    await env.HANDBOOK.put(formatKey(3), "# Note 3\n\nAbout fenders.");
    await env.HANDBOOK.delete(formatKey(0));
    await env.HANDBOOK.delete(formatKey(11));
    await reindex(withPageSize(5));
    expect(await findKeys("newcomer")).toEqual([]);
    nowMs += HOUR;
    await reindex(withPageSize(5));
    expect((await findKeys("newcomer")).toSorted()).toEqual(["a.md", "z.md"]);
    expect(await findKeys("fenders")).toEqual([formatKey(3)]);
    expect(await findKeys("anchors")).toHaveLength(9);
    expect((await indexed(name)).rows).toBe(12);
    nowMs += HOUR;
    await reindex({ ...withPageSize(5), index: { ...sweepParts(name).index, put: refuse, remove: refuse } });
    expect((await sweepParts(name).index.find(["x"], 5, nowMs)).indexedMs).toBe(nowMs);
  });

  it("renews every entry of an index that an earlier version wrote, before the next pass is due", async () => {
    await env.HANDBOOK.put("zh.txt", "我们在北京的仓库");
    await reindex(withPageSize(5));
    // The entries as the earlier version wrote them: a hash of the text alone, and the text as it is.
    await env.GATEHOUSE_DB.batch([
      env.GATEHOUSE_DB.prepare("UPDATE document SET hash = substr(hash, 3) WHERE source = ?").bind(name),
      env.GATEHOUSE_DB.prepare(`DELETE FROM document_${name}_fts`),
      env.GATEHOUSE_DB.prepare(
        `INSERT INTO document_${name}_fts (rowid, title, body)
          SELECT id, key, iif(key = 'zh.txt', '我们在北京的仓库', 'About anchors.') FROM document WHERE source = ?`,
      ).bind(name),
    ]);
    const parts = withPageSize(5);
    const { hits, isDue } = await parts.index.find(["北京"], 5, nowMs);
    expect({ hits, isDue }).toEqual({ hits: [], isDue: true });
    expect(await findKeys("anchors")).toHaveLength(12);
    await reindex(parts);
    expect(await findKeys("北京")).toEqual(["zh.txt"]);
    expect(await indexed(name)).toMatchObject({ rows: 13 });
    expect((await parts.index.find(["北京"], 5, nowMs)).isDue).toBe(false);
    await reindex({ ...parts, index: { ...parts.index, put: refuse, remove: refuse } });
    await env.HANDBOOK.delete("zh.txt");
  });

  it("ends and removes all index entries when the namespace is empty", async () => {
    await reindex(withPageSize(5));
    const { keys } = await env.HANDBOOK.list();
    await Promise.all(keys.map(async (key) => env.HANDBOOK.delete(key.name)));
    nowMs += HOUR;
    await reindex(withPageSize(5));
    expect(await indexed(name)).toEqual({ keys: [], rows: 0 });
    expect((await sweepParts(name).index.find(["anchors"], 5, nowMs)).indexedMs).toBe(nowMs);
  });

  it("stops at its document limit and continues there in the next run", async () => {
    const parts = { ...withPageSize(5), reindexDocuments: 5 };
    for (const rows of [5, 10, 12]) {
      expect((await parts.index.find(["anchors"], 5, nowMs)).indexedMs).toBeNull();
      await reindex(parts);
      expect((await indexed(name)).rows).toBe(rows);
    }
    expect((await parts.index.find(["anchors"], 5, nowMs)).indexedMs).toBe(nowMs);
  });

  it("gives the same index when several runs are concurrent", async () => {
    await Promise.all([reindex(withPageSize(3)), reindex(withPageSize(3)), reindex(withPageSize(3))]);
    expect((await indexed(name)).rows).toBe(12);
    // The index is also correct when leases expire before a page is done, so that no run sees another's lease.
    await env.HANDBOOK.delete(formatKey(5));
    await env.HANDBOOK.put("new.md", "# New\n\nAbout anchors.");
    nowMs += HOUR;
    const leaseless = (): ReindexParts => {
      const parts = withPageSize(3);
      return {
        ...parts,
        reindexStore: { ...parts.reindexStore, begin: async (at) => parts.reindexStore.begin(at, 0) },
      };
    };
    await Promise.all([reindex(leaseless()), reindex(leaseless()), reindex(leaseless())]);
    expect((await indexed(name)).rows).toBe(12);
    expect(await findKeys("new")).toEqual(["new.md"]);
  });

  it("does not advance from a position that another run has moved", async () => {
    const parts = withPageSize(5);
    const position = await parts.reindexStore.begin(nowMs, 0);
    if (position === undefined) throw new Error("the first pass did not start");
    await reindex(parts);
    const page = { keys: [], next: null };
    expect(await parts.reindexStore.advance(position, page, { leaseUntilMs: 0, dueMs: 0 })).toBe(false);
    expect((await indexed(name)).rows).toBe(12);
  });

  it("completes the pass in the next run when a run fails at any step", async () => {
    let steps = 0;
    for (let failingStep = 1, hasFailed = true; hasFailed; failingStep += 1) {
      name = `cut${failingStep}`;
      steps = 0;
      hasFailed = false;
      const step = (): void => {
        steps += 1;
        hasFailed = steps === failingStep;
        if (hasFailed) throw new Error("simulated crash");
      };
      await reindex(withFailure(withPageSize(5), step)).catch((error: unknown) =>
        expect(String(error)).toContain("simulated crash"),
      );
      await env.HANDBOOK.put(formatKey(7), `# Note 7\n\nEdited in round ${failingStep}.`);
      // The lease of the failed run has expired.
      nowMs += HOUR;
      await reindex(withPageSize(5));
      nowMs += HOUR;
      await reindex(withPageSize(5));
      expect(await indexed(name), `failed at step ${failingStep}`).toMatchObject({ rows: 12 });
      expect(await findKeys(String(failingStep)), `failed at step ${failingStep}`).toContain(formatKey(7));
    }
    expect(steps).toBeGreaterThan(20);
  }, 60_000);

  it("reads documents that exceed the size limit of one KV bulk read", async () => {
    const large = `# Large\n\n${"cargo ".repeat(1_500_000)}`;
    for (let index = 0; index < 4; index += 1) await env.HANDBOOK.put(`large/${index}.md`, large);
    await reindex(withPageSize(KEYS_PER_READ));
    expect(await findKeys("cargo")).toHaveLength(4);
  }, 60_000);
});

async function refuse(): Promise<never> {
  throw new Error("nothing should be written");
}

/** Calls `step` before and after every call to KV and to the index. */
function withFailure(parts: ReindexParts, step: () => void): ReindexParts {
  const wrap = <T extends object>(part: T): T =>
    new Proxy(part, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        return async (...parameters: unknown[]): Promise<unknown> => {
          step();
          const answer: unknown = await Reflect.apply(value, target, parameters);
          step();
          return answer;
        };
      },
    });
  return {
    ...parts,
    documents: wrap(parts.documents),
    index: wrap(parts.index),
    reindexStore: wrap(parts.reindexStore),
  };
}

// Room for results: a pending result, whose call may not be committed, takes none from usable ones, and pending results stay bounded.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { WorkspaceObject } from "../../src/results/workspace-object.ts";

const LIMITS = { workspaceResults: 50, workspaceBytes: 1_000_000, resultSeconds: 3600, leaseSeconds: 60 };

function buildResult(call: string, number: number) {
  return { call, number, ownerId: "o", columns: [{ name: "a", types: [] }], rows: ["[1]"], pages: [0], origin: "{}" };
}

describe("room for a pending result", () => {
  const settleAs = (committed: readonly string[], running: readonly string[] = []) => ({
    settleResults: async () => ({ committed, running }),
  });

  /** Runs work with the workspace object of a new user, and few usable results. */
  async function withSmallWorkspace(
    limits: Partial<typeof LIMITS>,
    ledger: { running: readonly string[]; committed: readonly string[] },
    work: (workspace: WorkspaceObject, storage: DurableObjectStorage) => Promise<void>,
  ): Promise<void> {
    await runInDurableObject(
      env.WORKSPACE.get(env.WORKSPACE.idFromName(crypto.randomUUID())),
      async (_object, state) => {
        const options = {
          limits: { ...LIMITS, ...limits },
          openLedger: () => settleAs(ledger.committed, ledger.running),
          onError: (error: unknown) => {
            throw error;
          },
        };
        await work(new WorkspaceObject(state, env, options), state.storage);
      },
    );
  }
  const listIds = async (workspace: WorkspaceObject, committed: readonly string[] = []) =>
    (await workspace.open([], committed)).results.map(({ id }) => id);

  it.each([
    ["number", { workspaceResults: 2 }],
    ["bytes", { workspaceBytes: 7 }],
  ] as const)("does not delete usable results by their %s when its call is not committed", async (_name, limits) => {
    const ledger = { committed: [], running: [] };
    await withSmallWorkspace(limits, ledger, async (workspace) => {
      await workspace.keep(buildResult("c1", 1), []);
      await workspace.keep(buildResult("c2", 2), ["c1"]);
      expect(await listIds(workspace, ["c1", "c2"])).toEqual(["r1", "r2"]);
      await workspace.keep(buildResult("c3", 3), ["c1", "c2"]);
      expect(await listIds(workspace)).toEqual(["r1", "r2"]);
      await workspace.keep(buildResult("c4", 4), []);
      expect(await listIds(workspace, ["c4"])).toEqual(["r2", "r4"]);
    });
  });

  it("deletes the oldest usable result when the ledger names its call as committed", async () => {
    const ledger = { committed: ["c3"], running: [] };
    await withSmallWorkspace({ workspaceResults: 2 }, ledger, async (workspace, storage) => {
      await workspace.keep(buildResult("c1", 1), []);
      await workspace.keep(buildResult("c2", 2), ["c1"]);
      await workspace.keep(buildResult("c3", 3), ["c2"]);
      expect(await listIds(workspace)).toEqual(["r2", "r3"]);
      expect(storage.kv.get("rows:r1:0")).toBeUndefined();
    });
  });

  it("is bounded, and a deleted one can be stored again while its call may be", async () => {
    const calls = Array.from({ length: 40 }, (_value, index) => `c${index + 1}`);
    const ledger = { committed: [], running: calls };
    await withSmallWorkspace({}, ledger, async (workspace, storage) => {
      for (const [index, call] of calls.entries()) await workspace.keep(buildResult(call, index + 1), []);
      expect([...storage.kv.list({ prefix: "rows:" })]).toHaveLength(16);
      expect(await workspace.keep(buildResult("c20", 20), [])).toEqual({ ok: true });
      expect([...storage.kv.list({ prefix: "rows:" })]).toHaveLength(16);
      expect(await listIds(workspace, ["c20", "c40"])).toEqual(["r40", "r20"]);
    });
  });

  it("is bounded in bytes, and the newest fits", async () => {
    await withSmallWorkspace({ workspaceBytes: 7 }, { committed: [], running: [] }, async (workspace, storage) => {
      for (const number of [1, 2, 3]) await workspace.keep(buildResult(`c${number}`, number), []);
      expect([...storage.kv.list({ prefix: "result:" })].map(([key]) => key)).toEqual(["result:r2", "result:r3"]);
    });
  });
});

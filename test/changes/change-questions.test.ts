// Questions to the person who asked for a change, as a table: in both eras, for clients that show forms, pages or nothing, for each kind of
// approval. A form decides only where the rule names the client, and no change is applied without its approval.
import { describe, expect, it, vi } from "vitest";
import type { ElicitResult } from "@modelcontextprotocol/client";
import { SURFACES, connectAsking } from "../support/asking-client.ts";
import type { Surface } from "../support/asking-client.ts";
import { CHANGE_SECONDS, deploymentOf, play, useAskedDeployments } from "../support/asked-person.ts";
import type { OpenScene, Way } from "../support/asked-person.ts";
import { ERAS, decide, readRemains } from "../support/change-scenario.ts";
import { restoreRoles, setRole } from "../support/change-stock.ts";
import { changeRow } from "./approval-events.ts";

useAskedDeployments();

/** Which question a client asks; undefined for none. */
function expectedMode(way: Way, surface: Surface): string | undefined {
  if (surface === "none" || way === "none" || way === "reviewer") return undefined;
  return way === "form" && surface === "form" ? "form" : "url";
}

/** What happens while the person is asked. */
const EVENTS: readonly {
  readonly title: string;
  readonly act: (scene: OpenScene) => Promise<ElicitResult>;
  readonly expected: { readonly state: string; readonly isChanged: boolean };
}[] = [
  {
    title: "approved",
    act: async (scene) => scene.decide(true),
    expected: { state: "applied", isChanged: true },
  },
  { title: "denied", act: async (scene) => scene.decide(false), expected: { state: "denied", isChanged: false } },
  {
    title: "approved after it has expired",
    async act(scene) {
      vi.setSystemTime(Date.now() + (CHANGE_SECONDS + 1) * 1000);
      scene.at.restart(scene.id);
      const result = await scene.decide(true);
      await scene.at.ring(scene.id);
      return result;
    },
    expected: { state: "expired", isChanged: false },
  },
  {
    title: "approved after a row has changed",
    async act(scene) {
      await changeRow();
      return scene.decide(true);
    },
    expected: { state: "proposed", isChanged: false },
  },
  {
    title: "approved after the requester has lost their role",
    async act(scene) {
      await setRole("support", "support", false);
      return scene.decide(true);
    },
    // The reviewer may approve what can no longer be applied.
    expected: { state: "proposed|denied", isChanged: false },
  },
  {
    title: "approved on the page as well, at the same moment",
    async act(scene) {
      const [result] = await Promise.all([scene.decide(true), decide(scene, scene.approver, { at: scene.at })]);
      return result.content === undefined ? { action: "accept" } : result;
    },
    expected: { state: "applied", isChanged: true },
  },
];

describe.each(ERAS)("in a %s", (era) => {
  describe.each(SURFACES)("of a client that shows: %s", (surface) => {
    describe.each(["form", "page", "reviewer"] as const)("a change whose approval is by: %s", (way) => {
      it.each(EVENTS)("$title", async ({ act, expected: { state, isChanged } }) => {
        const { answer, questions, scene } = await play({ way, era, surface }, act);
        vi.useRealTimers();
        await restoreRoles();
        const remains = await readRemains(scene);
        const mode = expectedMode(way, surface);
        expect(questions.map((question) => question.mode ?? "form")).toEqual(mode === undefined ? [] : [mode]);
        expect(state.split("|")).toContain(remains.state);
        expect(remains.isChanged).toBe(isChanged);
        const applied = remains.applies.filter((record) => record.startsWith("answered"));
        expect(applied).toHaveLength(isChanged ? 1 : 0);
        if (isChanged) {
          const by = way === "reviewer" ? "reviewer" : "support";
          expect(remains.decisions).toContain(`${by} approve change answered`);
          // The answer of a form that came second says that the change has been decided.
          if (mode !== undefined) expect(JSON.stringify(answer)).toMatch(/"state":"applied"|It is applied\./);
        }
      });
    });

    it("a change that the policy applies without a person asks nothing", async () => {
      const act = async (): Promise<ElicitResult> => ({ action: "cancel" });
      const { answer, questions, scene } = await play({ way: "none", era, surface }, act);
      expect(questions).toEqual([]);
      expect(answer).toMatchObject({ state: "applied" });
      expect(await readRemains(scene)).toMatchObject({ isChanged: true, applies: ["answered policy"], decisions: [] });
    });
  });

  it.each([
    ["closed without a decision", { action: "cancel" } as const, "proposed"],
    ["declined", { action: "decline" } as const, "denied"],
    ["accepted without content", { action: "accept" } as const, "proposed"],
    ["accepted with another word", { action: "accept", content: { decision: "APPROVE" } } as const, "proposed"],
    ["declined with an approval in it", { action: "decline", content: { decision: "approve" } } as const, "denied"],
  ])("a form that is %s applies nothing", async (_title, result, state) => {
    const { answer, scene } = await play({ way: "form", era, surface: "form" }, async () => result);
    expect(answer).toMatchObject({ state });
    expect(await readRemains(scene)).toMatchObject({ state, isChanged: false, applies: [] });
  });

  it("a page that was not opened leaves the change waiting, and the call does not wait", async () => {
    const { answer, scene } = await play({ way: "page", era, surface: "url" }, async () => ({ action: "decline" }));
    expect(answer).toMatchObject({ state: "proposed" });
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it("an undo is asked about in the same way as its change", async () => {
    const { scene } = await play({ way: "form", era, surface: "form" }, async (open) => open.decide(true));
    const client = await connectAsking(deploymentOf("form"), { era, surface: "form" }, async () => ({
      action: "accept",
      content: { decision: "approve" },
    }));
    expect(await client.call("undo", { change: scene.id, reason: "Back." })).toMatchObject({ state: "applied" });
    expect(client.questions).toMatchObject([{ message: expect.stringMatching(/^Restore 1 row of shop\.stock\?/) }]);
    await client.close();
    expect((await readRemains(scene)).isChanged).toBe(false);
  });
});

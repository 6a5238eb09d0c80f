// Questions to the person who asked for a change, as a table: in both eras, for clients that show forms, pages or nothing, for each kind of
// approval. A form decides only where the rule names the client, and no change is applied without its approval.
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { ElicitResult } from "@modelcontextprotocol/client";
import type { ChangeState } from "../../src/changes/change-states.ts";
import { SURFACES, connectAsking } from "../support/asking-client.ts";
import type { Surface } from "../support/asking-client.ts";
import { CHANGE_SECONDS, deploymentOf, play, useAskedDeployments } from "../support/asked-person.ts";
import type { OpenScene, Way } from "../support/asked-person.ts";
import { ERAS, buildProposal, decide, readRemains } from "../support/change-scenario.ts";
import { personOf, restoreRoles, setRole } from "../support/change-stock.ts";
import { changeRow } from "./approval-events.ts";

useAskedDeployments();

const CLOSED: ElicitResult = { action: "cancel" };
const APPROVED: ElicitResult = { action: "accept", content: { decision: "approve" } };

/** What a call answers about an applied change. The answer of a form that came second says that it has been decided. */
const ANSWER_OF_APPLIED = /"state":"applied"|It is applied\./;

/** Which question a client asks; undefined for none. */
function expectedMode(way: Way, surface: Surface): string | undefined {
  if (surface === "none" || way === "none" || way === "reviewer") return undefined;
  return way === "form" && surface === "form" ? "form" : "url";
}

type AskedWay = Exclude<Way, "none">;

/** How a change ends. */
interface End {
  readonly state: ChangeState;
  readonly isChanged: boolean;
}

const APPLIED: End = { state: "applied", isChanged: true };
const DENIED: End = { state: "denied", isChanged: false };
const WAITS: End = { state: "proposed", isChanged: false };

/** What happens while the person is asked, and how the change ends. */
const EVENTS: readonly {
  readonly title: string;
  readonly act: (scene: OpenScene) => Promise<ElicitResult>;
  readonly expected: (way: AskedWay) => End;
}[] = [
  {
    title: "applies the change when it is approved",
    act: async (scene) => scene.decide(true),
    expected: () => APPLIED,
  },
  {
    title: "does not apply the change when it is denied",
    act: async (scene) => scene.decide(false),
    expected: () => DENIED,
  },
  {
    title: "does not apply the change when it is approved after it has expired",
    async act(scene) {
      vi.setSystemTime(Date.now() + (CHANGE_SECONDS + 1) * 1000);
      scene.at.restart(scene.id);
      const result = await scene.decide(true);
      await scene.at.ring(scene.id);
      return result;
    },
    expected: () => ({ state: "expired", isChanged: false }),
  },
  {
    title: "keeps the change waiting when it is approved after a row has changed",
    async act(scene) {
      await changeRow();
      return scene.decide(true);
    },
    expected: () => WAITS,
  },
  {
    title: "does not apply the change when it is approved after the requester has lost their role",
    async act(scene) {
      await setRole("support", "support", false);
      return scene.decide(true);
    },
    // A requester without the role cannot approve; a reviewer can, and then it cannot be applied.
    expected: (way) => (way === "reviewer" ? DENIED : WAITS),
  },
  {
    title: "applies the change once when it is approved again after it was approved on the page",
    async act(scene) {
      await decide(scene, scene.approver, { at: scene.at });
      return scene.decide(true);
    },
    expected: () => APPLIED,
  },
];

describe.each(ERAS)("in a %s", (era) => {
  describe.each(SURFACES)("of a client that shows: %s", (surface) => {
    describe.each(["form", "page", "reviewer"] as const)("a change whose approval is by: %s", (way) => {
      it.each(EVENTS)("$title", async ({ act, expected }) => {
        const { state, isChanged } = expected(way);
        const { answer, questions, scene } = await play({ way, era, surface }, act);
        vi.useRealTimers();
        await restoreRoles();
        const remains = await readRemains(scene);
        const mode = expectedMode(way, surface);
        expect(questions.map((question) => question.mode ?? "form")).toEqual(mode === undefined ? [] : [mode]);
        expect(remains).toMatchObject({ state, isChanged });
        const applied = remains.applies.filter((record) => record.startsWith("answered"));
        expect(applied).toHaveLength(isChanged ? 1 : 0);
        if (isChanged) {
          const by = way === "reviewer" ? "reviewer" : "support";
          expect(remains.decisions).toContain(`${by} approve change answered`);
          if (mode !== undefined) expect(JSON.stringify(answer)).toMatch(ANSWER_OF_APPLIED);
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

  it("applies the change once when it is approved in the form and on the page at the same moment", async () => {
    let onPage: Promise<string> | undefined;
    const { answer, scene } = await play({ way: "form", era, surface: "form" }, async (open) => {
      onPage = decide(open, open.approver, { at: open.at });
      return open.decide(true);
    });
    expect(["applied", "invalid_input"]).toContain(await onPage);
    expect(JSON.stringify(answer)).toMatch(ANSWER_OF_APPLIED);
    const remains = await readRemains(scene);
    expect(remains).toMatchObject({ ...APPLIED, applies: ["answered support"] });
    expect(remains.decisions).toContain("support approve change answered");
  });

  it("asks about an undo as about its change", async () => {
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

describe("a call of a session that runs again after a restart", () => {
  const CALL = { era: "2025 session", surface: "form", call: "call 1" } as const;
  const { key: _key, ...KEYLESS } = buildProposal("requester", "4713");
  const listAll = async (): Promise<readonly unknown[]> =>
    (await env.GATEHOUSE_DB.prepare("SELECT id FROM change").all()).results;

  it("answers about the change that it was about, and proposes no other one", async () => {
    const { deployment } = deploymentOf("form");
    const person = await personOf("support");
    const other = await connectAsking(
      deploymentOf("form"),
      { era: "2026 request", surface: "none" },
      async () => CLOSED,
    );
    const joined = await other.call("change", KEYLESS);
    const scene = { id: String(joined["change"]) };
    await other.close();
    const before = await listAll();
    const first = await connectAsking(deploymentOf("form"), CALL, async () => {
      await decide(scene, person, { approves: false, at: deployment });
      return CLOSED;
    });
    expect(await first.call("change", KEYLESS)).toMatchObject({ change: scene.id, state: "denied" });
    await first.close();
    const again = await connectAsking(deploymentOf("form"), CALL, async () => APPROVED);
    expect(await again.call("change", KEYLESS)).toMatchObject({ change: scene.id, state: "denied" });
    await again.close();
    expect(await listAll()).toEqual(before);
  });
});

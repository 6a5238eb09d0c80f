// Approvals as a table: in both protocol eras and for each kind of approval, what each event leaves as the state, in the database and in
// the ledgers. Nothing is applied without its approval, and everything applied names who approved it.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { personAt } from "../support/browser.ts";
import {
  ERAS,
  beforeApply,
  decide,
  deployment,
  endPauses,
  proposeScene,
  readRemains,
  resetRow,
  setPause,
} from "../support/change-scenario.ts";
import type { Remains } from "../support/change-scenario.ts";
import { personOf, registerStockUsers, restoreRoles, seedStock, setRole } from "../support/change-stock.ts";
import { tokenOf } from "../support/worker.ts";
import { DECISIONS, LOST_RIGHTS, OTHER_PEOPLE, changeRow } from "./approval-events.ts";

let token = "";
let pat = "";

beforeAll(async () => {
  await seedStock();
  token = await tokenOf("support");
  await tokenOf("reviewer");
  await registerStockUsers();
  const { body } = await (
    await personAt("support@harbor.example")
  ).api("POST", "/tokens", { name: "ci", roles: ["support"], days: 30 });
  pat = String(body["token"]);
});

beforeEach(resetRow);

afterEach(async () => {
  vi.useRealTimers();
  await endPauses();
  await restoreRoles();
});

/** Checks that no record claims an apply that no one approved, and that the row changed only if one does. */
function requireApproval({ isChanged, applies, decisions }: Remains): void {
  const applied = applies.filter((record) => record.startsWith("answered"));
  if (isChanged) expect(applied).toHaveLength(1);
  for (const record of applied) {
    const who = record.replace("answered ", "");
    if (who !== "policy") expect(decisions).toContain(`${who} approve change answered`);
  }
}

describe.each(ERAS)("in a %s", (era) => {
  describe.each(["requester", "reviewer"] as const)("a change that its %s approves", (approval) => {
    it.each([...DECISIONS, ...OTHER_PEOPLE, ...LOST_RIGHTS])("$title", async ({ act, expected }) => {
      const scene = await proposeScene(era, approval, token);
      expect(scene.answer).toMatchObject({ state: "proposed" });
      const { result, ...remains } = expected[approval];
      const isNew = await act(scene);
      vi.useRealTimers();
      await endPauses();
      const actual = await readRemains(scene);
      expect({ result: isNew, ...actual }).toMatchObject({ isChanged: false, result, ...remains });
      requireApproval(actual);
    });

    it("keeps its approval when it is denied afterwards, because the requester has lost the right", async () => {
      const scene = await proposeScene(era, approval, token);
      beforeApply(async () => setRole("support", "support", false));
      await decide(scene, scene.approver);
      await restoreRoles();
      const view = await deployment.review.view(scene.approver, scene.id);
      expect(view).toMatchObject({ state: "denied", decision: { approves: true, by: scene.approver.email } });
    });

    it("that a personal access token proposes is approved as if its owner had asked", async () => {
      const scene = await proposeScene(era, approval, pat);
      await setRole("support", "reviewer", true);
      const byOwner = await decide(scene, scene.requester);
      const first = await readRemains(scene);
      expect([byOwner, first.isChanged]).toEqual(approval === "reviewer" ? ["not_allowed", false] : ["applied", true]);
      if (approval === "reviewer") expect(await decide(scene, scene.approver)).toBe("applied");
      const remains = await readRemains(scene);
      expect(remains).toMatchObject({ state: "applied", isChanged: true });
      requireApproval(remains);
    });
  });

  describe("a change that the policy applies without a person", () => {
    it.each(["access token", "personal access token"] as const)("is applied at once when an %s asks", async (kind) => {
      const scene = await proposeScene(era, "none", kind === "access token" ? token : pat);
      expect(scene.answer).toMatchObject({ state: "applied" });
      const remains = await readRemains(scene);
      expect(remains).toMatchObject({ state: "applied", isChanged: true, applies: ["answered policy"], decisions: [] });
      for (const name of ["support", "reviewer", "analyst"])
        expect(await decide(scene, await personOf(name))).not.toBe("applied");
      expect(await readRemains(scene)).toMatchObject({ state: "applied", applies: ["answered policy"] });
    });

    it.each([
      ["the requester has no role any more", async () => setRole("support", "support", false), "not_allowed"],
      ["an operator has paused the source", async () => setPause("source", "shop", true), "paused"],
      ["an operator has paused the user", async () => setPause("user", "support@harbor.example", true), "paused"],
    ])("is refused when %s", async (_title, prepare, code) => {
      await prepare();
      const { answer } = await proposeScene(era, "none", token);
      expect(answer).toMatchObject({ error: { code } });
      expect(answer).not.toHaveProperty("change");
    });

    it.each([
      ["the requester loses their role", async () => setRole("support", "support", false), "denied"],
      ["an operator pauses the source", async () => setPause("source", "shop", true), "denied"],
      ["a row changes", changeRow, "conflict"],
    ])("ends without a change when meanwhile %s", async (_title, meanwhile, state) => {
      beforeApply(meanwhile);
      const scene = await proposeScene(era, "none", token);
      const found = await deployment.changes.openChange(scene.id === "" ? "none" : scene.id).read();
      expect([scene.answer["state"] ?? "refused", found?.state ?? state]).toEqual([expect.any(String), state]);
      await endPauses();
      if (scene.id !== "") expect(await readRemains(scene)).toMatchObject({ state, isChanged: false });
    });
  });
});

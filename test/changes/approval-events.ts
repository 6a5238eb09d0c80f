// The events of the approval table: what happens to a proposal that waits, and what it leaves.
import { env } from "cloudflare:workers";
import { expect, vi } from "vitest";
import { startDeployment } from "../support/change-deployment.ts";
import { beforeApply, decide, deployment, proposeScene, resetRow, setPause } from "../support/change-scenario.ts";
import type { Remains, Scene } from "../support/change-scenario.ts";
import { STOCK_RULES, buildStockPolicy, personOf, setRole } from "../support/change-stock.ts";
import type { StockApproval } from "../support/change-stock.ts";
import { members } from "../support/members.ts";

type Waiting = Exclude<StockApproval, "none">;
type Expected = Partial<Remains> & { readonly result: string };

/** What happens to a proposal that waits, and what it leaves, by the approval that it waits for. */
interface Scenario {
  readonly title: string;
  /** Returns what the decision returned. */
  readonly act: (scene: Scene) => Promise<string>;
  readonly expected: Readonly<Record<Waiting, Expected>>;
}

const approverName = (approval: Waiting): string => (approval === "reviewer" ? "reviewer" : "support");
/** Builds the same expectation for both approvals; `who` stands for the approver. */
function forBoth(expected: (who: string) => Expected): Record<Waiting, Expected> {
  return { requester: expected(approverName("requester")), reviewer: expected(approverName("reviewer")) };
}
const WAITS = { state: "proposed", applies: [], decisions: [] } as const;
/** Changes a column that no scenario sets. */
export const changeRow = async (): Promise<void> =>
  void (await env.EXAMPLE_DB.prepare("UPDATE stock SET region = 'other' WHERE id = 1").run());

/** The clock of an object is that of its creation, so it gets a new instance. */
function moveClock({ id }: Scene, nowMs: number): void {
  vi.setSystemTime(nowMs);
  deployment.restart(id);
}

/** Decisions of the approver, and none. */
export const DECISIONS: readonly Scenario[] = [
  {
    title: "approved",
    act: async (scene) => decide(scene, scene.approver),
    expected: forBoth((who) => ({
      result: "applied",
      state: "applied",
      isChanged: true,
      applies: [`answered ${who}`],
      decisions: [`${who} approve change answered`],
    })),
  },
  {
    title: "denied",
    act: async (scene) => decide(scene, scene.approver, { approves: false }),
    expected: forBoth((who) => ({
      result: "denied",
      state: "denied",
      applies: [],
      decisions: [`${who} deny change answered`],
    })),
  },
  {
    title: "approved after it was denied",
    act: async (scene) => {
      await decide(scene, scene.approver, { approves: false });
      return decide(scene, scene.approver);
    },
    expected: forBoth((who) => ({
      result: "invalid_input",
      state: "denied",
      applies: [],
      decisions: [`${who} approve change failed invalid_input`, `${who} deny change answered`],
    })),
  },
  {
    title: "not decided in time",
    act: async (scene) => {
      moveClock(scene, Date.now() + 4 * 24 * 3_600_000);
      await deployment.ring(scene.id);
      return decide(scene, scene.approver);
    },
    expected: forBoth((who) => ({
      result: "invalid_input",
      state: "expired",
      applies: ["failed interrupted"],
      decisions: [`${who} approve change failed invalid_input`],
    })),
  },
  {
    title: "approved in the moment in which it expires, before its alarm",
    act: async (scene) => {
      const change = await deployment.openChange(scene.id).read();
      moveClock(scene, change?.expiresMs ?? 0);
      return decide(scene, scene.approver);
    },
    expected: forBoth(() => ({ result: "invalid_input", state: "expired", applies: ["failed interrupted"] })),
  },
  {
    title: "approved with the same decision twice",
    act: async (scene) => {
      const proof = (await deployment.openChange(scene.id).read())?.proof ?? "";
      await decide(scene, scene.approver, { proof });
      await resetRow();
      return decide(scene, scene.approver, { proof });
    },
    expected: forBoth((who) => ({
      result: "invalid_input",
      state: "applied",
      isChanged: false,
      applies: [`answered ${who}`],
      decisions: [`${who} approve change answered`, `${who} approve change failed invalid_input`],
    })),
  },
  {
    title: "approved twice at once",
    act: async (scene) => {
      const other = scene.approval === "reviewer" ? await personOf("owner") : scene.approver;
      const results = await Promise.all([decide(scene, scene.approver), decide(scene, other)]);
      return results.toSorted().join(", ");
    },
    expected: forBoth(() => ({ result: "applied, invalid_input", state: "applied", isChanged: true })),
  },
  {
    title: "approved with the proof of another change",
    act: async (scene) => {
      const { id } = await proposeScene(scene.era, scene.approval, scene.token);
      return decide(scene, scene.approver, { proof: (await deployment.openChange(id).read())?.proof ?? "" });
    },
    expected: forBoth((who) => ({
      ...WAITS,
      result: "invalid_input",
      decisions: [`${who} approve change denied invalid_input`],
    })),
  },
];

/** Decisions of users who are not the approver. */
export const OTHER_PEOPLE: readonly Scenario[] = [
  {
    title: "approved by a user whom it does not concern",
    act: async (scene) => decide(scene, await personOf("analyst")),
    expected: forBoth(() => ({
      ...WAITS,
      result: "not_found",
      decisions: ["analyst approve change denied not_found"],
    })),
  },
  {
    title: "approved by the wrong one of the requester and the reviewer",
    act: async (scene) => decide(scene, await personOf(scene.approval === "reviewer" ? "support" : "reviewer")),
    expected: {
      requester: { ...WAITS, result: "not_found", decisions: ["reviewer approve change denied not_found"] },
      reviewer: { ...WAITS, result: "not_allowed", decisions: ["support approve change denied not_allowed"] },
    },
  },
  {
    title: "denied by the one of the requester and the reviewer who does not approve it",
    act: async (scene) =>
      decide(scene, await personOf(scene.approval === "reviewer" ? "support" : "reviewer"), { approves: false }),
    expected: {
      requester: { ...WAITS, result: "not_found", decisions: ["reviewer deny change denied not_found"] },
      // The requester may withdraw it.
      reviewer: { result: "denied", state: "denied", applies: [], decisions: ["support deny change answered"] },
    },
  },
  {
    title: "approved by its requester, who holds the role of a reviewer as well",
    act: async (scene) => {
      await setRole("support", "reviewer", true);
      return decide(scene, scene.requester);
    },
    expected: {
      requester: { result: "applied", state: "applied", isChanged: true, applies: ["answered support"] },
      reviewer: { ...WAITS, result: "not_allowed", decisions: ["support approve change denied not_allowed"] },
    },
  },
  {
    title: "approved by another subject with the requester's address and the role of a reviewer",
    act: async (scene) => {
      await setRole("support", "reviewer", true);
      const email = "support@harbor.example";
      await members.registerSubject({ subjectId: "twin", email, groups: [], seenMs: Date.now() });
      return decide(scene, { subjectId: "twin", email, groups: [] });
    },
    expected: forBoth(() => ({ ...WAITS, result: "not_found" })),
  },
  {
    title: "approved by a personal access token of the approver",
    act: async (scene) => {
      const { subjectId: ownerId } = scene.approver;
      const held = scene.approval === "reviewer" ? "reviewer" : "support";
      return decide(scene, { ...scene.approver, subjectId: "pat", token: { id: "pat", ownerId, roles: [held] } });
    },
    expected: forBoth((who) => ({
      ...WAITS,
      result: "not_allowed",
      decisions: [`${who} approve change denied not_allowed`],
    })),
  },
];

/** Rights, rows and rules that have changed since the proposal. */
export const LOST_RIGHTS: readonly Scenario[] = [
  {
    title: "approved after the requester lost their role",
    act: async (scene) => {
      await setRole("support", "support", false);
      return decide(scene, scene.approver);
    },
    expected: {
      requester: { ...WAITS, result: "not_allowed", decisions: ["support approve change denied not_allowed"] },
      reviewer: { result: "denied", state: "denied", applies: ["denied not_allowed"] },
    },
  },
  {
    title: "approved, and the requester loses their role before it is applied",
    act: async (scene) => {
      beforeApply(async () => setRole("support", "support", false));
      return decide(scene, scene.approver);
    },
    expected: forBoth((who) => ({
      result: "denied",
      state: "denied",
      applies: ["denied not_allowed"],
      decisions: [`${who} approve change answered`],
    })),
  },
  {
    title: "approved, and the approver loses their role before it is applied",
    act: async (scene) => {
      const who = scene.approval === "reviewer" ? "reviewer" : "support";
      beforeApply(async () => setRole(who, who, false));
      return decide(scene, scene.approver);
    },
    expected: forBoth(() => ({ result: "denied", state: "denied", applies: ["denied not_allowed"] })),
  },
  {
    title: "approved, and a row changes before it is applied",
    act: async (scene) => {
      beforeApply(changeRow);
      return decide(scene, scene.approver);
    },
    expected: forBoth(() => ({
      result: "conflict",
      state: "conflict",
      applies: [expect.stringMatching(/^failed conflict/)],
    })),
  },
  {
    title: "approved after a row has changed",
    act: async (scene) => {
      await changeRow();
      return decide(scene, scene.approver);
    },
    expected: forBoth((who) => ({
      ...WAITS,
      result: "not_allowed",
      decisions: [`${who} approve change denied not_allowed`],
    })),
  },
  {
    title: "denied after a row has changed",
    act: async (scene) => {
      await changeRow();
      return decide(scene, scene.approver, { approves: false });
    },
    expected: forBoth(() => ({ result: "denied", state: "denied", applies: [] })),
  },
  {
    title: "approved after an operator has paused the source",
    act: async (scene) => {
      await setPause("source", "shop", true);
      return decide(scene, scene.approver);
    },
    expected: forBoth((who) => ({ ...WAITS, result: "paused", decisions: [`${who} approve change denied paused`] })),
  },
  {
    title: "denied after an operator has paused the source",
    act: async (scene) => {
      await setPause("source", "shop", true);
      return decide(scene, scene.approver, { approves: false });
    },
    expected: forBoth((who) => ({ result: "denied", state: "denied", decisions: [`${who} deny change answered`] })),
  },
  {
    title: "approved, and an operator pauses the source before it is applied",
    act: async (scene) => {
      beforeApply(async () => setPause("source", "shop", true));
      return decide(scene, scene.approver);
    },
    expected: forBoth(() => ({ result: "paused", state: "denied", isChanged: false, applies: ["denied paused"] })),
  },
  {
    title: "approved, and an operator pauses the requester before it is applied",
    act: async (scene) => {
      beforeApply(async () => setPause("user", "support@harbor.example", true));
      return decide(scene, scene.approver);
    },
    expected: {
      requester: { result: "paused", state: "denied", isChanged: false },
      reviewer: { result: "denied", state: "denied", isChanged: false },
    },
  },
  {
    title: "approved after a deployment has removed the rule",
    act: async (scene) => {
      const { [scene.approval]: _removed, ...rules } = STOCK_RULES;
      return decide(scene, scene.approver, { at: startDeployment(buildStockPolicy(Object.values(rules))) });
    },
    expected: forBoth(() => ({ result: "denied", state: "denied", applies: ["denied not_allowed"] })),
  },
];

// Questions to the person who asked for a change, as a table: in both eras, for clients that show forms, pages or nothing, for each kind of
// approval. A form decides only where the rule names the client, and no change is applied without its approval.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { ElicitResult } from "@modelcontextprotocol/client";
import * as z from "zod";
import { SECRET, SURFACES, connectAsking } from "../support/asking-client.ts";
import type { AskedDeployment, Question, Surface } from "../support/asking-client.ts";
import { personAt } from "../support/browser.ts";
import { startDeployment } from "../support/change-deployment.ts";
import { allowChange } from "../support/change-rules.ts";
import { ERAS, buildProposal, decide, endPauses, readRemains, resetRow } from "../support/change-scenario.ts";
import type { Era, Scene } from "../support/change-scenario.ts";
import { STOCK_RULES, buildStockPolicy, personOf, registerStockUsers, restoreRoles } from "../support/change-stock.ts";
import { seedStock, setRole } from "../support/change-stock.ts";
import { deriveChangeId } from "../../src/changes/stored-change.ts";
import { exchangeCode, readJson, register, signIn } from "../support/oauth.ts";
import { buildPost2026 } from "../support/mcp-requests.ts";
import { flow, tokenOf } from "../support/worker.ts";
import { changeRow } from "./approval-events.ts";

/** Shorter than a question may be answered and than an access token is valid. */
const CHANGE_SECONDS = 600;

/** Where the rule takes the requester's approval, or who else approves. */
const WAYS = ["none", "form", "page", "reviewer"] as const;
type Way = (typeof WAYS)[number];

const asked: Partial<Record<"form" | "page", AskedDeployment>> = {};
let pat = "";

beforeAll(async () => {
  await seedStock();
  const client = await register(flow);
  const callback = await signIn(flow, client, "support@harbor.example");
  const { accessToken: token } = await exchangeCode(flow, client, callback);
  await tokenOf("reviewer");
  await registerStockUsers();
  const caller = { identity: await personOf("support"), clientId: client.clientId };
  const start = (formIn: string): AskedDeployment => {
    const requester = allowChange("shop.stock", { columns: { state: {} }, maxRows: 20, confirm: { formIn: [formIn] } });
    const policy = buildStockPolicy([STOCK_RULES.none, requester, STOCK_RULES.reviewer]);
    const config = { ...policy, limits: { ...policy.limits, changeSeconds: CHANGE_SECONDS } };
    const deployment = startDeployment(config, undefined, { GATEHOUSE_AUDIT_KEY: SECRET });
    return { deployment, config, token, caller };
  };
  asked.form = start(client.clientId);
  // Only another client is named.
  asked.page = start("https://client.example/metadata.json");
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

function deploymentOf(way: Way): AskedDeployment {
  const found = asked[way === "form" ? "form" : "page"];
  if (found === undefined) throw new Error("the deployments have not started");
  return found;
}

const approvalOf = (way: Way) => (way === "form" || way === "page" ? "requester" : way);

/** Which question a client asks; undefined for none. */
function expectedMode(way: Way, surface: Surface): string | undefined {
  if (surface === "none" || way === "none" || way === "reviewer") return undefined;
  return way === "form" && surface === "form" ? "form" : "url";
}

/** A proposal whose user is about to answer, in the client's form or on the page. */
interface OpenScene extends Scene {
  readonly at: AskedDeployment["deployment"];
  /** Decides where the client has asked. Returns what the client sends back, or what the page has answered. */
  readonly decide: (approves: boolean) => Promise<ElicitResult>;
}

interface Played {
  readonly answer: Record<string, unknown>;
  readonly questions: readonly Question[];
  readonly scene: OpenScene;
}

/** Proposes a change and lets `act` happen while the person is asked, or afterwards where no client asks. */
async function play(
  { way, era, surface }: { readonly way: Way; readonly era: Era; readonly surface: Surface },
  act: (scene: OpenScene) => Promise<ElicitResult>,
): Promise<Played> {
  const { deployment, ...others } = deploymentOf(way);
  const requester = await personOf("support");
  const approval = approvalOf(way);
  const approver = approval === "reviewer" ? await personOf("reviewer") : requester;
  const proposal = buildProposal(approval);
  const id = await deriveChangeId(requester, "key", proposal.key);
  /** A person who cannot decide closes the page, and the client says so. */
  const onPage = async (scene: Scene, approves: boolean): Promise<ElicitResult> => {
    const result = await decide(scene, approver, { approves, at: deployment });
    return { action: result === "applied" || result === "denied" ? "accept" : "decline" };
  };
  const inForm = async (approves: boolean): Promise<ElicitResult> => ({
    action: "accept",
    content: { decision: approves ? "approve" : "deny" },
  });
  const base: Scene = { approval, id, token: others.token, era, approver, requester };
  const open = (mode: string | undefined): OpenScene => ({
    ...base,
    at: deployment,
    decide: async (approves) => (mode === "form" ? inForm(approves) : onPage(base, approves)),
  });
  const client = await connectAsking({ deployment, ...others }, { era, surface }, async (question) =>
    act(open(question.mode ?? "form")),
  );
  const answer = await client.call("change", proposal);
  if (client.questions.length === 0 && way !== "none") await act(open(undefined));
  const { questions } = client;
  await client.close();
  return { answer, questions, scene: open(undefined) };
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

const FORM = { elicitation: { form: {}, url: {} } };
const APPROVED = { decision: { action: "accept", content: { decision: "approve" } } };

/** Sends a round of a call as a program of the 2026 era does, with whatever it makes up. */
async function sendRound(
  { deployment, token }: Pick<AskedDeployment, "deployment" | "token">,
  proposal: Readonly<Record<string, unknown>>,
  round: Readonly<Record<string, unknown>> = {},
  capabilities: object = FORM,
) {
  const params = { name: "change", arguments: proposal, ...round };
  const body = await readJson(await deployment.send(buildPost2026(token, "tools/call", params, capabilities)));
  return z.looseObject({ result: z.looseObject({ requestState: z.string().optional() }).optional() }).parse(body);
}

describe("a program that answers for the person", () => {
  const propose = async (
    way: "form" | "page",
    proposal: Readonly<Record<string, unknown>>,
    capabilities: object = FORM,
  ) => {
    const { result } = await sendRound(deploymentOf(way), proposal, {}, capabilities);
    expect(result).toMatchObject({ resultType: "input_required" });
    const requester = await personOf("support");
    const id = await deriveChangeId(requester, "key", String(proposal["key"]));
    const { token } = deploymentOf(way);
    const scene: Scene = { approval: "requester", id, token, era: "2026 request", approver: requester, requester };
    return { requestState: String(result?.requestState), scene };
  };

  it("cannot approve in a form that the rule does not take", async () => {
    const proposal = buildProposal("requester");
    const { requestState, scene } = await propose("page", proposal);
    const { result } = await sendRound(deploymentOf("page"), proposal, { requestState, inputResponses: APPROVED });
    expect(result).toMatchObject({ isError: true, structuredContent: { error: { code: "not_allowed" } } });
    expect(await readRemains(scene)).toMatchObject({
      state: "proposed",
      isChanged: false,
      decisions: ["support approve change denied not_allowed"],
    });
  });

  it("cannot approve without a question of the server", async () => {
    const proposal = buildProposal("requester");
    const { scene } = await propose("form", proposal);
    await sendRound(deploymentOf("form"), proposal, { inputResponses: APPROVED });
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it("cannot approve with an argument", async () => {
    for (const extra of [{ confirm: true }, { decision: "approve" }, { approved: true }]) {
      const proposal = buildProposal("requester");
      const { result } = await sendRound(deploymentOf("form"), { ...proposal, ...extra });
      expect(result).toMatchObject({ isError: true });
    }
  });

  it("cannot approve another change with the answer to this one", async () => {
    const proposal = buildProposal("requester");
    const { requestState, scene } = await propose("form", proposal);
    const other = buildProposal("requester", "4712");
    const { result } = await sendRound(deploymentOf("form"), other, { requestState, inputResponses: APPROVED });
    expect(result).toMatchObject({ isError: true });
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it("applies once when it sends the approval again, also after the row was set back", async () => {
    const proposal = buildProposal("requester");
    const { requestState, scene } = await propose("form", proposal);
    const round = { requestState, inputResponses: APPROVED };
    const { result: first } = await sendRound(deploymentOf("form"), proposal, round);
    expect(first).toMatchObject({ structuredContent: { state: "applied" } });
    await resetRow();
    const { result: second } = await sendRound(deploymentOf("form"), proposal, round);
    expect(second).toMatchObject({ structuredContent: { state: "applied" } });
    expect(await readRemains(scene)).toMatchObject({ isChanged: false, applies: ["answered support"] });
  });

  it.each(["approve", "deny"])("cannot use a question of another user to %s", async (decision) => {
    const proposal = buildProposal("requester");
    const { requestState, scene } = await propose("form", proposal);
    const { deployment } = deploymentOf("form");
    for (const token of [await tokenOf("reviewer"), pat]) {
      const answer = { decision: { action: "accept", content: { decision } } };
      const { result } = await sendRound({ deployment, token }, proposal, { requestState, inputResponses: answer });
      expect(result?.["structuredContent"]).toBeUndefined();
    }
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it("is asked nothing when it holds a personal access token, even one of the person", async () => {
    const { deployment } = deploymentOf("form");
    const { result } = await sendRound({ deployment, token: pat }, buildProposal("requester"));
    expect(result).toMatchObject({ structuredContent: { state: "proposed" } });
  });

  it("gets no form from a client that the rule does not name, on the same account", async () => {
    const { deployment } = deploymentOf("form");
    const { result } = await sendRound({ deployment, token: await tokenOf("support") }, buildProposal("requester"));
    expect(result).toMatchObject({ inputRequests: { page: { params: { mode: "url" } } } });
  });
});

describe("an approval in a form", () => {
  it("does not count when a deployment has taken the client out of the rule before the apply", async () => {
    const { deployment } = deploymentOf("page");
    const { scene } = await play({ way: "form", era: "2026 request", surface: "form" }, async (open) => {
      const { proof = "" } = (await open.at.openChange(open.id).read()) ?? {};
      const { clientId } = deploymentOf("form").caller;
      const by = await personOf("support");
      // The object of the new deployment takes the decision: it has the stored change, and the new rule.
      await deployment.openChange(open.id).decide({ approves: true, proof, by, formClient: clientId });
      open.at.restart(open.id);
      return { action: "cancel" };
    });
    expect(await readRemains(scene)).toMatchObject({
      state: "denied",
      isChanged: false,
      applies: ["denied not_allowed"],
    });
  });

  it("is shown as such to the person afterwards", async () => {
    const { scene } = await play({ way: "form", era: "2026 request", surface: "form" }, async (open) =>
      open.decide(true),
    );
    const view = await scene.at.review.view(scene.requester, scene.id);
    expect(view.decision).toMatchObject({ approves: true, by: "support@harbor.example", place: "form" });
  });
});

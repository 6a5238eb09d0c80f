// A program that has the access token of a client and answers in place of the person: it can decide only what a form of this client may,
// and only once.
import { listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { ElicitResult } from "@modelcontextprotocol/client";
import { beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { deriveChangeId } from "../../src/changes/stored-change.ts";
import type { StoredChange } from "../../src/changes/stored-change.ts";
import { connectAsking } from "../support/asking-client.ts";
import type { AskedDeployment } from "../support/asking-client.ts";
import { deploymentOf, play, useAskedDeployments } from "../support/asked-person.ts";
import { personAt } from "../support/browser.ts";
import { buildProposal, readRemains, resetRow } from "../support/change-scenario.ts";
import type { Scene } from "../support/change-scenario.ts";
import { personOf } from "../support/change-stock.ts";
import { buildPost2026 } from "../support/mcp-requests.ts";
import { readJson } from "../support/oauth.ts";
import { tokenOf } from "../support/worker.ts";

useAskedDeployments();

let pat = "";
beforeAll(async () => {
  const person = await personAt("support@harbor.example");
  const { body } = await person.api("POST", "/tokens", { name: "ci", roles: ["support"], days: 30 });
  pat = String(body["token"]);
});

const FORM = { elicitation: { form: {}, url: {} } };
const APPROVED_FORM: ElicitResult = { action: "accept", content: { decision: "approve" } };
const APPROVED = { decision: APPROVED_FORM };

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

/** Reads the change that the support account proposed with a key; null without one. */
async function readProposed({ key }: { readonly key: string }): Promise<StoredChange | null> {
  const id = await deriveChangeId(await personOf("support"), "key", key);
  return deploymentOf("form").deployment.openChange(id).read();
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
    expect(result).toMatchObject({ structuredContent: { state: "proposed" } });
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it("cannot approve in a form that was not shown, because it would not have shown all rows", async () => {
    const proposal = {
      ...buildProposal("requester"),
      where: { id: Array.from({ length: 12 }, (_, index) => index + 1) },
    };
    const { requestState, scene } = await propose("form", proposal);
    const { result } = await sendRound(deploymentOf("form"), proposal, { requestState, inputResponses: APPROVED });
    expect(result).toMatchObject({ structuredContent: { state: "proposed", rows: 12 } });
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it.each(["a client that the rule does not name", "the client of another proposal"])(
    "cannot approve at the change itself as %s",
    async (client) => {
      const way = client.startsWith("a ") ? "page" : "form";
      const { scene } = await propose(way, buildProposal("requester"));
      const { deployment, caller } = deploymentOf(way);
      const change = deployment.openChange(scene.id);
      const { proof = "" } = (await change.read()) ?? {};
      const formClient = way === "page" ? caller.clientId : "https://client.example/metadata.json";
      const by = await personOf("support");
      expect(await change.decide({ approves: true, proof, by, formClient })).toEqual({ kind: "refused" });
      expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false });
    },
  );

  it("cannot approve without a question of the server", async () => {
    const proposal = buildProposal("requester");
    const { scene } = await propose("form", proposal);
    await sendRound(deploymentOf("form"), proposal, { inputResponses: APPROVED });
    expect(await readRemains(scene)).toMatchObject({ state: "proposed", isChanged: false, decisions: [] });
  });

  it("cannot approve with an argument", async () => {
    for (const [name, value] of Object.entries({ confirm: true, decision: "approve", approved: true })) {
      const proposal = buildProposal("requester");
      const { result } = await sendRound(deploymentOf("form"), { ...proposal, [name]: value });
      const text = expect.stringContaining(`Unrecognized key: "${name}"`);
      expect(result).toMatchObject({ isError: true, content: [{ text }] });
      expect(await readProposed(proposal)).toBeNull();
    }
  });

  it("cannot approve another change with the answer to this one", async () => {
    const proposal = buildProposal("requester");
    const { requestState, scene } = await propose("form", proposal);
    const other = buildProposal("requester", "4712");
    const { result } = await sendRound(deploymentOf("form"), other, { requestState, inputResponses: APPROVED });
    const text = expect.stringContaining("This answer belongs to another request");
    expect(result).toMatchObject({ isError: true, content: [{ text }] });
    expect(await readProposed(other)).toBeNull();
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

  it("is asked nothing in a session either, and a personal access token gets no ledger of its own", async () => {
    const { caller, ...others } = deploymentOf("form");
    const { subjectId: ownerId } = caller.identity;
    const token = { id: "t1", ownerId, roles: ["support"] };
    const identity = { ...caller.identity, subjectId: "subject of t1", token };
    const era = { era: "2025 session", surface: "form", call: "call of t1" } as const;
    const client = await connectAsking({ ...others, caller: { ...caller, identity } }, era, async () => APPROVED_FORM);
    expect(await client.call("change", buildProposal("requester"))).toMatchObject({ state: "proposed" });
    expect(client.questions).toEqual([]);
    await client.close();
    const ledgers = (await listDurableObjectIds(env.LEDGER)).map(String);
    expect(ledgers).toContain(String(env.LEDGER.idFromName(ownerId)));
    expect(ledgers).not.toContain(String(env.LEDGER.idFromName("subject of t1")));
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

// Deployments whose rules take the requester's approval in a form or only on the page, and a person who is asked there and answers.
import { beforeAll, beforeEach, afterEach, vi } from "vitest";
import type { ElicitResult } from "@modelcontextprotocol/client";
import { deriveChangeId } from "../../src/changes/stored-change.ts";
import { SECRET, connectAsking } from "./asking-client.ts";
import type { AskedDeployment, Question, Surface } from "./asking-client.ts";
import { startDeployment } from "./change-deployment.ts";
import { allowChange } from "./change-rules.ts";
import { buildProposal, decide, endPauses, resetRow } from "./change-scenario.ts";
import type { Era, Scene } from "./change-scenario.ts";
import {
  STOCK_RULES,
  buildStockPolicy,
  personOf,
  registerStockUsers,
  restoreRoles,
  seedStock,
} from "./change-stock.ts";
import { exchangeCode, register, signIn } from "./oauth.ts";
import { flow, tokenOf } from "./worker.ts";

/** Shorter than a question may be answered and than an access token is valid. */
export const CHANGE_SECONDS = 600;

/** Where the rule takes the requester's approval, or who else approves. */
const WAYS = ["none", "form", "page", "reviewer"] as const;
export type Way = (typeof WAYS)[number];

const asked: Partial<Record<"form" | "page", AskedDeployment>> = {};

/** Starts the deployments before the tests of a file, and resets what a test has changed. */
export function useAskedDeployments(): void {
  beforeAll(async () => {
    await seedStock();
    const client = await register(flow);
    const callback = await signIn(flow, client, "support@harbor.example");
    const { accessToken: token } = await exchangeCode(flow, client, callback);
    await tokenOf("reviewer");
    await registerStockUsers();
    const caller = { identity: await personOf("support"), clientId: client.clientId };
    asked.form = start(client.clientId, { token, caller });
    // Only another client is named.
    asked.page = start("https://client.example/metadata.json", { token, caller });
  });
  beforeEach(resetRow);
  afterEach(async () => {
    vi.useRealTimers();
    await endPauses();
    await restoreRoles();
  });
}

function start(formIn: string, signedIn: Pick<AskedDeployment, "token" | "caller">): AskedDeployment {
  const requester = allowChange("shop.stock", { columns: { state: {} }, maxRows: 20, confirm: { formIn: [formIn] } });
  const policy = buildStockPolicy([STOCK_RULES.none, requester, STOCK_RULES.reviewer]);
  const config = { ...policy, limits: { ...policy.limits, changeSeconds: CHANGE_SECONDS } };
  const deployment = startDeployment(config, undefined, { GATEHOUSE_AUDIT_KEY: SECRET });
  return { ...signedIn, deployment, config };
}

/** Finds the deployment whose rule takes an approval in this way. */
export function deploymentOf(way: Way): AskedDeployment {
  const found = asked[way === "form" ? "form" : "page"];
  if (found === undefined) throw new Error("the deployments have not started");
  return found;
}

const approvalOf = (way: Way) => (way === "form" || way === "page" ? "requester" : way);

/** A proposal whose user is about to answer, in the client's form or on the page. */
export interface OpenScene extends Scene {
  readonly at: AskedDeployment["deployment"];
  /** Decides where the client has asked. Returns what the client sends back, or what the page has answered. */
  readonly decide: (approves: boolean) => Promise<ElicitResult>;
}

/** What came of a proposal. */
interface Played {
  readonly answer: Record<string, unknown>;
  readonly questions: readonly Question[];
  readonly scene: OpenScene;
}

/** Proposes a change and lets `act` happen while the person is asked, or afterwards where no client asks. */
export async function play(
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

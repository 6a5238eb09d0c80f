// What a call costs in a deployment: its network steps, one after the other, and its Durable Object calls.
import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { countSequentialSteps, countSteps, listCalls } from "../support/network-steps.ts";
import type { BindingCall } from "../support/network-steps.ts";
import { readJson } from "../support/oauth.ts";
import { personAt } from "../support/browser.ts";
import { seedShop } from "../support/seed.ts";
import { buildPost, buildPost2026 } from "../support/mcp-requests.ts";
import { openSession, tokenOf } from "../support/worker.ts";

const counter = countSteps(env);
const gatehouse = createGatehouse(sample);

/** Sends a request to an app over counted bindings. Its calls are those before the response; later work is not waited for. */
async function measure(request: Request): Promise<{ readonly calls: readonly BindingCall[]; readonly body: object }> {
  let body = {};
  const context = createExecutionContext();
  const calls = await counter.during(async () => {
    body = await readJson(await gatehouse.handler.fetch(request, counter.env, context));
  });
  const before = [...calls];
  await waitOnExecutionContext(context);
  return { calls: before, body };
}

/** Sends the same request until all caches are warm, and measures the last one. */
async function measureWarm(build: () => Request) {
  for (let times = 0; times < 3; times += 1) await measure(build());
  return measure(build());
}

const callTool = (token: string, name: string, args: object) => (): Request =>
  buildPost2026(token, "tools/call", { name, arguments: args });
const query = (source: string, sql: string): object => ({ source, sql });

let token = "";

beforeAll(async () => {
  await seedShop();
  token = await tokenOf("analyst");
});

describe("the step counter", () => {
  it("counts calls that overlap as one step, and a call after them as another", () => {
    const call = (begun: number, ended: number): BindingCall => ({ name: "X.y", begun, ended });
    expect(countSequentialSteps([])).toBe(0);
    expect(countSequentialSteps([call(1, 4), call(2, 3)])).toBe(1);
    expect(countSequentialSteps([call(1, 4), call(2, 3), call(5, 6)])).toBe(2);
    // The third begins after the second has ended, although the first still runs.
    expect(countSequentialSteps([call(1, 6), call(2, 3), call(4, 5)])).toBe(2);
  });
});

describe("a warm call in the 2026 era", () => {
  it("takes three network steps for a query: begin, the batch, then keep beside commit", async () => {
    const { calls, body } = await measureWarm(
      callTool(token, "query", query("shop", "SELECT id, region FROM customers WHERE id = 1")),
    );
    expect(body).toMatchObject({ result: { structuredContent: { count: { shown: 1, total: 1 } } } });
    expect(listCalls(calls).toSorted()).toEqual(["LEDGER.begin", "LEDGER.commit", "SHOP_DB.batch", "WORKSPACE.keep"]);
    expect(countSequentialSteps(calls)).toBe(3);
  });

  it("takes two network steps to describe a dataset", async () => {
    const { calls } = await measureWarm(callTool(token, "describe", { dataset: "shop.customers" }));
    expect(listCalls(calls)).toEqual(["LEDGER.begin", "LEDGER.commit"]);
    expect(countSequentialSteps(calls)).toBe(2);
  });

  it("takes four network steps for a query over stored results: the workspace is opened before it is queried", async () => {
    const { body } = await measure(callTool(token, "query", query("shop", "SELECT id FROM customers"))());
    const { result } = Object(Reflect.get(Object(Reflect.get(body, "result")), "structuredContent"));
    const { calls } = await measureWarm(callTool(token, "query", query("workspace", `SELECT count(*) FROM ${result}`)));
    expect(listCalls(calls).toSorted()).toEqual([
      "LEDGER.begin",
      "LEDGER.commit",
      "WORKSPACE.keep",
      "WORKSPACE.open",
      "WORKSPACE.run",
    ]);
    expect(countSequentialSteps(calls)).toBe(4);
  });
});

describe("a warm call of a personal access token", () => {
  it("takes one network step more: the token is read each time", async () => {
    const person = await personAt("analyst@harbor.example");
    const { body } = await person.api("POST", "/tokens", { name: "t", roles: ["analyst"], days: 1 });
    const { calls } = await measureWarm(
      callTool(String(body["token"]), "query", query("shop", "SELECT id FROM customers WHERE id = 3")),
    );
    expect(listCalls(calls).toSorted()).toEqual([
      "GATEHOUSE_DB.first",
      "LEDGER.begin",
      "LEDGER.commit",
      "SHOP_DB.batch",
      "WORKSPACE.keep",
    ]);
    expect(countSequentialSteps(calls)).toBe(4);
  });
});

describe("a warm call in a session of the 2025 era", () => {
  it("takes one network step more: the session's object, in which the rest runs", async () => {
    const message = {
      jsonrpc: "2.0",
      id: 2,
      method: "tools/call",
      params: { name: "query", arguments: query("shop", "SELECT id, region FROM customers WHERE id = 2") },
    };
    const session = await openSession(token);
    const request = (): Request => buildPost(token, message, { "mcp-session-id": session });
    const outer = await measureWarm(request);
    expect(listCalls(outer.calls)).toEqual(["SESSION.post"]);
    const caller = JSON.stringify(await buildSessionCaller());
    const inner = await runInDurableObject(
      env.SESSION.get(env.SESSION.idFromString(session)),
      async (_object, state) => {
        const object = new gatehouse.SessionObject(state, counter.env);
        const post = async () => object.post(JSON.stringify(message), caller, "json");
        await post();
        return counter.during(async () => expect(await post()).toMatchObject({ kind: "answer" }));
      },
    );
    expect(listCalls(inner).toSorted()).toEqual(["LEDGER.begin", "LEDGER.commit", "SHOP_DB.batch", "WORKSPACE.keep"]);
    expect(countSequentialSteps(inner)).toBe(3);
  });

  async function buildSessionCaller() {
    const [subjectId = "", grantId = ""] = token.split(":");
    const identity = { subjectId, email: "analyst@harbor.example", groups: [] };
    return { subjectId, grantId, authInfo: { token: "", clientId: "test", scopes: ["read"], extra: { identity } } };
  }
});

// The product with the sample's policy over counted bindings, in the handler and in every Durable Object: tests read what a request costs.
import sample from "../../sample/gatehouse.config.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { countSteps } from "../support/network-steps.ts";

/** The calls since the last reset, as `SHOP_DB.batch 3`: a batch has its number of statements. */
let calls: string[] = [];
/** Whether an alarm has run since the last reset. What it does belongs to no request. */
let hasAlarmRun = false;

const countedEnvs = new WeakMap<Env, Env>();

/** The counted bindings of an environment. Objects share them, as they share the environment. */
function countCalls(env: Env): Env {
  const known = countedEnvs.get(env);
  if (known !== undefined) return known;
  const counted = countSteps(env, (name, [first]) => {
    calls.push(Array.isArray(first) && name.endsWith(".batch") ? `${name} ${first.length}` : name);
  });
  countedEnvs.set(env, counted.env);
  return counted.env;
}

const gatehouse = createGatehouse(sample);

export class SessionObject extends gatehouse.SessionObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, countCalls(env));
  }
}
export class HubObject extends gatehouse.HubObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, countCalls(env));
  }
}
export class LedgerObject extends gatehouse.LedgerObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, countCalls(env));
  }
  override async alarm(): Promise<void> {
    hasAlarmRun = true;
    await super.alarm();
  }
}
export class WorkspaceObject extends gatehouse.WorkspaceObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, countCalls(env));
  }
}
export class GrantObject extends gatehouse.GrantObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, countCalls(env));
  }
}
export class ChangeObject extends gatehouse.ChangeObject {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, countCalls(env));
  }
  override async alarm(): Promise<void> {
    hasAlarmRun = true;
    await super.alarm();
  }
}

/** What a response with a body that ends cost until its end. */
let answered: string[] = [];

export default {
  async fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/reset") {
      [calls, answered, hasAlarmRun] = [[], [], false];
      return new Response(null, { status: 204 });
    }
    if (pathname === "/calls") return Response.json({ calls, answered, hasAlarmRun });
    const response = await gatehouse.handler.fetch(request, countCalls(env), context);
    const isOpenStream = request.headers.has("x-open-stream");
    const body = isOpenStream || response.body === null ? response.body : await response.arrayBuffer();
    answered = [...calls];
    return new Response(body, response);
  },
};

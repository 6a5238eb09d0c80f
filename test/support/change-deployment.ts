// A deployment with a policy of the test over real D1 databases and the real storage of Durable Objects, whose objects the test can
// restart, and whose alarms ring only when the test says so.
import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { createIsolateResources, openPolicySources } from "../../src/app/bindings.ts";
import { buildChangeOptions, openChangeReview, openChanges } from "../../src/app/changes.ts";
import type { OpenedChanges } from "../../src/app/changes.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { createWithAudit } from "../../src/audit/audit.ts";
import { ChangeObject } from "../../src/changes/change-object.ts";
import type { ChangeOptions } from "../../src/changes/change-object.ts";
import type { ChangeReview } from "../../src/changes/change-view.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { newId } from "../../src/lib/ids.ts";
import { createHub } from "../../src/mcp/subscriptions/hub.ts";

/** A namespace whose objects the test creates over the storage of the real ones. */
interface ObjectHost<T> {
  /** What the Worker gets as its binding. */
  readonly namespace: unknown;
  /** Runs work with the instance of an object, which it creates first if there is none. */
  run<Result>(id: DurableObjectId, work: (instance: T) => Promise<Result>): Promise<Result>;
  /** Gives an object a new instance over the same storage, as after the end of its process. */
  restart(id: DurableObjectId): void;
  /** Does so for all objects. */
  restartAll(): void;
}

/** Hosts objects over a real namespace. Their alarms do not ring, because the platform would create an object of the sample for them. */
function hostObjects<T extends object>(
  namespace: DurableObjectNamespace,
  create: (state: DurableObjectState) => T,
): ObjectHost<T> {
  const instances = new Map<string, T>();
  const run: ObjectHost<T>["run"] = async (id, work) =>
    runInDurableObject(namespace.get(id), async (_sample: unknown, state: DurableObjectState) => {
      const key = id.toString();
      let instance = instances.get(key);
      if (instance === undefined) {
        Object.defineProperty(state.storage, "setAlarm", { value: async () => {}, configurable: true });
        instance = create(state);
        instances.set(key, instance);
      }
      return work(instance);
    });
  const openStub = (id: DurableObjectId): object =>
    new Proxy(
      {},
      {
        get: (_target, method) =>
          method === "then"
            ? undefined
            : async (...values: readonly unknown[]) =>
                run(id, async (instance) => callMethod(instance, method, values)),
      },
    );
  const hosted = new Proxy(namespace, {
    get: (real, property) => {
      if (property === "get") return openStub;
      const value: unknown = Reflect.get(real, property);
      return typeof value === "function" ? value.bind(real) : value;
    },
  });
  return {
    namespace: hosted,
    run,
    restart: (id) => void instances.delete(id.toString()),
    restartAll: () => instances.clear(),
  };
}

/** A running deployment. */
export interface ChangeDeployment {
  readonly changes: OpenedChanges;
  readonly review: ChangeReview;
  /** Sends a request to the Worker. */
  readonly send: (request: Request) => Promise<Response>;
  /** Ends the process of a change's object. */
  readonly restart: (id: string) => void;
  /** Ends the processes of all changes' objects. */
  readonly restartAll: () => void;
  /** Rings the alarm of a change's object. */
  readonly ring: (id: string) => Promise<void>;
  readonly openChange: OpenedChanges["openChange"];
}

/** Starts a deployment. `wrapOptions` may replace what the objects of changes depend on; `settings` are variables and secrets. */
export function startDeployment(
  config: Gatehouse,
  wrapOptions: (options: ChangeOptions) => ChangeOptions = (options) => options,
  settings: Readonly<Record<string, string>> = {},
): ChangeDeployment {
  const hosted: Env = { ...env, ...settings };
  const worker = createGatehouse(config);
  const changeHost = hostObjects<ChangeObject>(env.CHANGE, (state) => {
    const options = buildChangeOptions(config, hosted, changes, createHub(env.HUB));
    return new ChangeObject(state, hosted, wrapOptions({ ...options, onError: () => {} }));
  });
  const sessionHost = hostObjects(env.SESSION as never, (state) => new worker.SessionObject(state, hosted));
  Object.assign(hosted, { CHANGE: changeHost.namespace, SESSION: sessionHost.namespace });
  const changes = openChanges(config, hosted, openPolicySources(config, env, createIsolateResources()));
  const openLedger = (ownerId: string) => env.LEDGER.get(env.LEDGER.idFromName(ownerId));
  const withAudit = createWithAudit({ policy: config.policy, openLedger, newId, waitUntil: () => {} });
  const findId = (id: string): DurableObjectId => env.CHANGE.idFromName(id);
  return {
    changes,
    review: openChangeReview(hosted, changes, withAudit),
    async send(request) {
      const context = createExecutionContext();
      const response = await worker.handler.fetch(request, hosted, context);
      await waitOnExecutionContext(context);
      return response;
    },
    restart: (id) => changeHost.restart(findId(id)),
    restartAll: () => changeHost.restartAll(),
    ring: async (id) => changeHost.run(findId(id), async (instance) => instance.alarm()),
    openChange: changes.openChange,
  };
}

function callMethod(instance: object, name: string | symbol, values: readonly unknown[]): unknown {
  const method: unknown = Reflect.get(instance, name);
  if (typeof method !== "function") throw new TypeError(`the object has no method ${String(name)}`);
  return Reflect.apply(method, instance, values);
}

// Counts the network steps of a request: wraps the bindings of an environment, notes when each call to one begins and ends, and derives
// from the overlaps how many calls ran one after the other.

/** One call to a binding. `begun` and `ended` are positions in the order of all beginnings and ends. */
export interface BindingCall {
  /** The binding and the method, as `LEDGER.begin`. */
  readonly name: string;
  readonly begun: number;
  readonly ended: number;
}

/** Called before each call to a binding, with its name and arguments. The call fails with what it throws. */
type BeforeCall = (name: string, args: readonly unknown[]) => void;

/** Counts the calls to the bindings of one environment. */
export interface StepCounter<E> {
  /** The environment with counted bindings. */
  readonly env: E;
  /** Forgets the calls before, runs the work, and returns the calls that began during it, by their beginning. */
  during(work: () => Promise<unknown>): Promise<readonly BindingCall[]>;
}

/** The rate limiters, which the platform counts beside the Worker, and secrets and settings are no network steps. */
const isCounted = (binding: unknown): binding is object =>
  typeof binding === "object" &&
  binding !== null &&
  ["idFromName", "prepare", "getWithMetadata"].some((method) => typeof Reflect.get(binding, method) === "function");

/** Methods that make no call. */
const LOCAL_METHODS: ReadonlySet<PropertyKey> = new Set([
  "idFromName",
  "idFromString",
  "newUniqueId",
  "jurisdiction",
  "bind",
  "getBookmark",
]);
/** Methods that return something whose methods make calls. */
const OPENING_METHODS: ReadonlySet<PropertyKey> = new Set(["prepare", "bind", "withSession", "getByName"]);

/**
 * Wraps every Durable Object namespace, database and KV namespace of an environment. A test that stands in for a broken connection throws in
 * `beforeCall`, which gets the name of each call.
 */
export function countSteps<E extends object>(env: E, beforeCall: BeforeCall = () => {}): StepCounter<E> {
  /** Wrapped objects, by their proxies. */
  const originals = new WeakMap<object, object>();
  let calls: { name: string; begun: number; ended: number }[] = [];
  let position = 0;
  const next = (): number => (position += 1);

  const track = async (name: string, args: readonly unknown[], run: () => unknown): Promise<unknown> => {
    const call = { name, begun: next(), ended: Infinity };
    calls.push(call);
    try {
      beforeCall(name, args);
      return await run();
    } finally {
      call.ended = next();
    }
  };

  /** Wraps an object so that each of its methods counts as a call, except for those that only open another object. */
  const wrap = (name: string, target: object, isNamespace: boolean): object => {
    const proxy: object = new Proxy(target, {
      get(_target, property) {
        const member: unknown = Reflect.get(target, property);
        if (typeof member !== "function" || typeof property === "symbol") return member;
        return (...args: unknown[]): unknown => {
          const run = (): unknown =>
            Reflect.apply(
              member,
              target,
              args.map((value) => unwrap(originals, value)),
            );
          if (OPENING_METHODS.has(property) || (isNamespace && property === "get")) {
            const opened = run();
            return typeof opened === "object" && opened !== null ? wrap(name, opened, false) : opened;
          }
          return LOCAL_METHODS.has(property) ? run() : track(`${name}.${property}`, args, run);
        };
      },
    });
    originals.set(proxy, target);
    return proxy;
  };

  const counted = Object.entries(env).map(([name, binding]: [string, unknown]) => [
    name,
    isCounted(binding) ? wrap(name, binding, typeof Reflect.get(binding, "idFromName") === "function") : binding,
  ]);
  return {
    env: { ...env, ...Object.fromEntries(counted) },
    async during(work) {
      calls = [];
      await work();
      return calls;
    },
  };
}

/** A batch gets prepared statements, which must be the database's own objects. */
function unwrap(originals: WeakMap<object, object>, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => unwrap(originals, item));
  return typeof value === "object" && value !== null ? (originals.get(value) ?? value) : value;
}

/** The longest chain of calls of which each began after the one before had ended. */
export function countSequentialSteps(calls: readonly BindingCall[]): number {
  let lastEnd = 0;
  let steps = 0;
  for (const { begun, ended } of calls.toSorted((left, right) => left.ended - right.ended)) {
    if (begun <= lastEnd) continue;
    steps += 1;
    lastEnd = ended;
  }
  return steps;
}

/** The names of the calls in the order of their beginning. */
export function listCalls(calls: readonly BindingCall[]): readonly string[] {
  return calls.map(({ name }) => name);
}

// Faults of everything that the object of a change calls: a call fails or its process ends, before or after the call did its work.
import type { ChangeOptions } from "../../src/changes/change-object.ts";
import type { ChangeTarget } from "../../src/read/change-target.ts";

export const FAULTS = ["throws before", "throws after", "dies before", "dies after"] as const;
export type Fault = (typeof FAULTS)[number];
/** The calls of the object, by what is called. */
export const FAULT_POINTS = ["preview", "authorize", "apply", "record", "publish", "discard", "settle"] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Decides about each call. `lost` is for an apply whose answer does not come back. */
export type ChooseFault = (point: FaultPoint) => Fault | "lost before" | "lost after" | undefined;

/** Faults that a test can set, and take away again. */
export interface Faults {
  choose: ChooseFault;
  readonly wrap: (options: ChangeOptions) => ChangeOptions;
  /** Runs work until it ends or the process of the object does. */
  readonly run: (work: () => Promise<unknown>) => Promise<"ended" | "died">;
  /** Called after an apply has done its work. */
  onApplied: () => Promise<void>;
}

/** Creates faults that do nothing yet. */
export function createFaults(): Faults {
  let die: () => void = () => {};
  const fail = async (kind: string): Promise<never> => {
    if (kind.startsWith("throws")) throw new Error("a fault of the test");
    die();
    return new Promise(() => {});
  };
  const inject: Inject = async (point, work, fault = faults.choose(point)) => {
    if (fault?.endsWith("before") && !fault.startsWith("lost")) return fail(fault);
    const result = await work();
    if (fault?.endsWith("after") && !fault.startsWith("lost")) return fail(fault);
    return result;
  };
  const faults: Faults = {
    choose: () => undefined,
    onApplied: async () => {},
    wrap: (options) => ({
      ...options,
      openTarget(source) {
        const target = options.openTarget(source);
        return target && wrapTarget(target, inject, faults);
      },
      publish: async (change) => inject("publish", async () => options.publish(change)),
      authorize: async (change) => inject("authorize", async () => options.authorize(change)),
      record: async (...result) => inject("record", async () => options.record(...result)),
    }),
    async run(work) {
      const died = new Promise<"died">((resolve) => (die = () => resolve("died")));
      const ended = work().then(
        () => "ended" as const,
        () => "ended" as const,
      );
      return Promise.race([died, ended]);
    },
  };
  return faults;
}

type Inject = <T>(point: FaultPoint, work: () => Promise<T>, fault?: ReturnType<ChooseFault>) => Promise<T>;

function wrapTarget(target: ChangeTarget, inject: Inject, faults: Faults): ChangeTarget {
  return {
    ...target,
    preview: async (change) => inject("preview", async () => target.preview(change)),
    discard: async (id) => inject("discard", async () => target.discard(id)),
    settle: async (id) => inject("settle", async () => target.settle(id)),
    apply: async (change) => {
      const fault = faults.choose("apply");
      const unknown = { kind: "unknown", cause: new Error("the answer was lost") } as const;
      if (fault === "lost before") return unknown;
      return inject(
        "apply",
        async () => {
          const applied = await target.apply(change);
          if (applied.kind === "applied") await faults.onApplied();
          return fault === "lost after" ? unknown : applied;
        },
        fault,
      );
    },
  };
}

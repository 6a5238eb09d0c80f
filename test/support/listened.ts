// A D1 database that is listened to: everything that is prepared is written down, and transactions can be held back.
import type { Gatehouse } from "../../src/config.ts";
import { createD1Source } from "../../src/sources/d1.ts";
import { createSchemaKeeper } from "../../src/sources/d1-schema.ts";
import { governedLayers } from "../../src/sources/layers.ts";
import { createReader } from "./governed.ts";
import type { Reader } from "./governed.ts";

export interface Listened {
  readonly database: D1Database;
  /** What was prepared, oldest first. */
  readonly sent: string[];
  /** Holds back transactions of sessions from now on, until the function that it gives is called. */
  readonly hold: () => () => void;
}

function listen(database: D1Database): Listened {
  const sent: string[] = [];
  let gate: Promise<void> = Promise.resolve();
  const prepare = (of: { prepare: D1Database["prepare"] }) => (sql: string) => {
    sent.push(sql);
    return of.prepare(sql);
  };
  const listened = new Proxy(database, {
    get(target, name) {
      if (name === "prepare") return prepare(target);
      if (name !== "withSession") {
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (bookmark: string) => {
        const session = target.withSession(bookmark);
        return {
          prepare: prepare(session),
          batch: async (statements: D1PreparedStatement[]) => {
            await gate;
            return session.batch(statements);
          },
          getBookmark: () => session.getBookmark(),
        };
      };
    },
  });
  return {
    database: listened,
    sent,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
  };
}

/** A reader of the first source of a policy, behind layers of its own, and the database that it reads. */
export function listenedReader(
  config: Pick<Gatehouse, "policy">,
  of: D1Database,
  layers = governedLayers({ allowsRecursion: false, maxSteps: 1e9 }),
): Listened & { readonly reader: Reader } {
  const listened = listen(of);
  const [declaration] = config.policy.sources;
  if (declaration === undefined) throw new Error("no source");
  const datasets = config.policy.datasets.filter((dataset) => dataset.kind === "table");
  const schemas = createSchemaKeeper(declaration, datasets, listened.database, () => {});
  return {
    ...listened,
    reader: createReader(config, createD1Source(declaration, datasets, listened.database, schemas, layers)),
  };
}

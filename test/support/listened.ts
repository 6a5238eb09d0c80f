// Wraps a D1 database for tests: it records every prepared statement, and can hold back transactions.
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { createD1Source } from "../../src/tables/d1-source.ts";
import { createSchemaCache } from "../../src/tables/schema-cache.ts";
import { createGovernedMiddleware } from "../../src/read/governed-middleware.ts";
import { createReader } from "./governed.ts";
import type { Reader } from "./governed.ts";
import type { MaskingTokens } from "../../src/tables/table-source.ts";

/** A recorded database. */
interface Listened {
  readonly database: D1Database;
  /** The SQL of every prepared statement, oldest first. */
  readonly sent: string[];
  /** What happens before each transaction of a session, with its number from 1; nothing by default. */
  readonly before: { batch: (number: number) => Promise<unknown> };
  /** Returns the number of transactions of sessions so far. */
  readonly countBatches: () => number;
  /** Holds back transactions of sessions from now on, until the returned function is called. */
  readonly hold: () => () => void;
}

/** Records the statements of a database. */
export function listen(database: D1Database): Listened {
  const sent: string[] = [];
  let gate: Promise<void> = Promise.resolve();
  let batches = 0;
  const before: Listened["before"] = { batch: async () => {} };
  const prepare = (target: { prepare: D1Database["prepare"] }) => (sql: string) => {
    sent.push(sql);
    return target.prepare(sql);
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
            batches += 1;
            await before.batch(batches);
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
    before,
    countBatches: () => batches,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
  };
}

/** Creates a reader of a policy's first source over a recorded database, with the given middleware. */
export function listenedReader(
  config: Pick<Gatehouse, "policy">,
  database: D1Database,
  layers = createGovernedMiddleware({ allowsRecursion: false, maxSteps: 1e9 }),
  maskingTokens: MaskingTokens | null = null,
): Listened & { readonly reader: Reader } {
  const listened = listen(database);
  const [declaration] = config.policy.sources;
  if (declaration === undefined) throw new Error("no source");
  const datasets = config.policy.datasets.filter((dataset) => dataset.kind === "table");
  const schemas = createSchemaCache(declaration, datasets, listened.database, () => {}, {
    maskingTokenColumns: maskingTokens?.columns ?? [],
    expressions: [],
    rowRestrictedTables: [],
  });
  return {
    ...listened,
    reader: createReader(
      config,
      createD1Source(declaration, datasets, listened.database, schemas, layers, maskingTokens),
    ),
  };
}

// A local database that waits while another process writes to it: the server may run beside a command, and SQLite takes one writer at a
// time. A statement that found the database locked has not run, so it can be sent again.
import { isLocked } from "../../src/sql/d1-messages.ts";

/** How long a command waits, and how long between two attempts. The server's own writes take milliseconds. */
const MAX_WAIT_MS = 10_000;
const RETRY_MS = 50;

/**
 * How the local runtime says that it found the database locked when it made the bookmark of an answer. It writes that itself, at the first
 * statement of a process. A statement that writes holds the lock by then, so only one that has written nothing fails in this way.
 */
const LOCKED_BOOKMARK = /Failed to get session commit token: internal error/;

/** Wraps a database so that its prepared statements and batches wait for their turn, up to ten seconds. */
export function waitForTurn(database: D1Database): D1Database {
  const statements = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  const wrap = (statement: D1PreparedStatement): D1PreparedStatement => {
    const wrapped = new Proxy(statement, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => wrap(target.bind(...values));
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return async (...values: unknown[]): Promise<unknown> =>
          retry(async () => Reflect.apply(member, target, values) as Promise<unknown>);
      },
    });
    statements.set(wrapped, statement);
    return wrapped;
  };
  return new Proxy(database, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => wrap(target.prepare(sql));
      if (name === "batch")
        return async (batch: readonly D1PreparedStatement[]) =>
          retry(async () => target.batch(batch.map((statement) => statements.get(statement) ?? statement)));
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function"
        ? (...values: unknown[]): unknown => Reflect.apply(member, target, values)
        : member;
    },
  });
}

async function retry<T>(run: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + MAX_WAIT_MS;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      const isWaiting = isLocked(error) || (error instanceof Error && LOCKED_BOOKMARK.test(error.message));
      if (!isWaiting || performance.now() >= endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

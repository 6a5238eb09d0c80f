// A D1 database that is listened to: everything that is prepared is written down, and transactions can be held back.
export interface Listened {
  readonly database: D1Database;
  /** What was prepared, oldest first. */
  readonly sent: string[];
  /** Holds back transactions of sessions from now on, until the function that it gives is called. */
  readonly hold: () => () => void;
}

export function listen(database: D1Database): Listened {
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

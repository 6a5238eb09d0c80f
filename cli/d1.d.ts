// Declares the types of D1 and KV for commands, which run the Worker's modules in Node. The other types of the Workers runtime would
// contradict those of Node.
import type * as workers from "@cloudflare/workers-types/experimental";

declare global {
  type D1Database = workers.D1Database;
  type D1DatabaseSession = workers.D1DatabaseSession;
  type D1ExecResult = workers.D1ExecResult;
  type D1PreparedStatement = workers.D1PreparedStatement;
  type D1Result<T = unknown> = workers.D1Result<T>;
  type KVNamespace<Key extends string = string> = workers.KVNamespace<Key>;
  type SqlStorageValue = workers.SqlStorageValue;
}

// The policy enforcement point: the one door between the server's tools and the data. Each operation is recorded,
// decided by the policy, read through guards, and bounded by the operator's limits.
import type { Limits, Organisation } from "../config.ts";
import type { Policy, Subject } from "../policy/model.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Source } from "../sources/source.ts";
import type { Caller } from "./caller.ts";
import { openCatalogue } from "./catalogue.ts";
import type { Catalogue } from "./catalogue.ts";
import { describe } from "./describe.ts";
import type { Description } from "./describe.ts";
import { fetchOne, fetchWhole } from "./fetch.ts";
import type { FetchAnswer } from "./fetch.ts";
import { query } from "./query.ts";
import type { QueryAnswer } from "./query.ts";
import { createRecorder } from "./recorded.ts";
import type { Answered, RecorderDependencies } from "./recorded.ts";
import { listResources } from "./resources.ts";
import type { ResourceEntry } from "./resources.ts";
import { search } from "./search.ts";
import type { SearchAnswer } from "./search.ts";

export interface GatewayDependencies extends RecorderDependencies {
  readonly policy: Policy;
  readonly sources: readonly Source[];
  readonly organisation: Organisation;
  readonly limits: Limits;
}

/** Every operation throws `AppError`s of the codes its file names, and those of the recorder. */
export interface Gateway {
  describe(caller: Caller, name: string | undefined): Promise<Description>;
  query(caller: Caller, request: QueryInput): Promise<QueryAnswer>;
  search(caller: Caller, text: string, limit: number): Promise<SearchAnswer>;
  fetch(caller: Caller, id: string, page: number): Promise<FetchAnswer>;
  /** The whole text behind a `gatehouse://` URI. */
  readResource(caller: Caller, uri: string): Promise<string>;
  listResources(caller: Caller): Promise<readonly ResourceEntry[]>;
}

export interface QueryInput {
  readonly source: string;
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** Rows wanted; the operator's limit is never passed. */
  readonly limit: number | undefined;
}

export function createGateway(dependencies: GatewayDependencies): Gateway {
  const { policy, sources, organisation, limits } = dependencies;
  const record = createRecorder(dependencies);

  const run = <T>(
    caller: Caller,
    operation: string,
    asked: string,
    maxRows: number,
    work: (catalogue: Catalogue, subject: Subject, bookmark: string | null) => Answered<T> | Promise<Answered<T>>,
    slot: string | null = null,
  ): Promise<T> =>
    record(caller, { operation, asked, maxRows, slot }, async (subject, bookmark) =>
      work(openCatalogue(policy, sources, subject), subject, bookmark),
    );

  return {
    describe: (caller, name) =>
      run(caller, "describe", name ?? "", 0, (catalogue, subject) => describe(catalogue, subject, organisation, name)),
    query: (caller, { source, sql, params, limit }) => {
      const maxRows = Math.min(limit ?? limits.defaultRows, limits.maxRows);
      const { maxResultBytes: maxBytes, querySeconds } = limits;
      const request = { source, sql, params, maxRows, maxBytes, querySeconds };
      return run(
        caller,
        "query",
        `${source}: ${sql}`,
        maxRows,
        (catalogue, _subject, bookmark) => query(catalogue, { ...request, bookmark }),
        source,
      );
    },
    search: (caller, text, limit) => run(caller, "search", text, limit, (catalogue) => search(catalogue, text, limit)),
    fetch: (caller, id, page) =>
      run(caller, "fetch", id, 1, (catalogue) =>
        fetchOne(catalogue, { id, page, pageCharacters: limits.pageCharacters }),
      ),
    readResource: (caller, uri) => run(caller, "read resource", uri, 1, (catalogue) => fetchWhole(catalogue, uri)),
    listResources: (caller) => run(caller, "list resources", "", 0, listResources),
  };
}

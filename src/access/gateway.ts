// The policy enforcement point: the one door between the server's tools and the data. Each operation is recorded,
// decided by the policy, read through guards, and bounded by the operator's limits.
import type { Limits, Organisation } from "../config.ts";
import { ownerIdOf } from "../lib/identity.ts";
import type { Policy } from "../policy/model.ts";
import { forSaved, freely, savedFor } from "../policy/saved.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Source } from "../sources/source.ts";
import { WORKSPACE } from "../sources/workspace.ts";
import { withCallLog } from "./call-log.ts";
import type { AskedStatement, CallLogDependencies } from "./call-log.ts";
import type { Caller } from "../lib/identity.ts";
import { openCatalogue } from "./catalogue.ts";
import type { Catalogue } from "./catalogue.ts";
import { describe } from "./describe.ts";
import type { Description } from "./describe.ts";
import { complete } from "./complete.ts";
import type { Completions, Wanted } from "./complete.ts";
import type { QueryAnswer } from "./answer.ts";
import { fetchOne, fetchResource } from "./fetch.ts";
import type { ResourceText } from "./fetch.ts";
import type { FetchAnswer } from "./fetched.ts";
import { query } from "./query.ts";
import { createRecorder } from "./recorded.ts";
import type { Answered, Asked, Call, RecorderDependencies } from "./recorded.ts";
import type { Statements } from "./refused-statements.ts";
import { introduce } from "./introduction.ts";
import type { Introduction } from "./introduction.ts";
import { replay } from "./replay.ts";
import type { MadeAnswer } from "./replay.ts";
import { listResources } from "./resources.ts";
import type { ResourceEntry } from "./resources.ts";
import { resultNameOf } from "./results.ts";
import { bindSaved, fetchSaved, findSaved } from "./saved.ts";
import { search } from "./search.ts";
import type { SearchAnswer } from "./search.ts";
import { stepUpHint, withStepUp } from "./step-up.ts";
import { accessWorkspace } from "./workspace.ts";
import type { WorkspaceAccess, WorkspaceDependencies } from "./workspace.ts";

export interface GatewayDependencies extends RecorderDependencies, CallLogDependencies, WorkspaceDependencies {
  readonly policy: Policy;
  readonly sources: readonly Source[];
  readonly organisation: Organisation;
  readonly limits: Limits;
  /** Names statements in the log, and refuses those that stopped the server; without it neither happens. */
  readonly statements?: Statements;
}

/** Every operation throws `AppError`s of the codes its file names, and those of the recorder. */
export interface Gateway {
  describe(caller: Caller, name: string | undefined): Promise<Description>;
  query(caller: Caller, request: QueryInput): Promise<QueryAnswer>;
  search(caller: Caller, text: string, limit: number): Promise<SearchAnswer>;
  fetch(caller: Caller, id: string, page: number): Promise<FetchAnswer>;
  /** The text behind a `gatehouse://` URI. */
  readResource(caller: Caller, uri: string): Promise<ResourceText>;
  listResources(caller: Caller): Promise<readonly ResourceEntry[]>;
  /** What a person may see, in words for a page, with questions to begin with. */
  introduce(caller: Caller): Promise<Introduction>;
  /** Names that begin as somebody has begun to write them. */
  complete(caller: Caller, wanted: Wanted): Promise<Completions>;
  /** Whether an answer that was made earlier may be delivered again; recorded either way. */
  replay(caller: Caller, answer: MadeAnswer): Promise<boolean>;
}

export interface QueryInput {
  readonly what: { readonly source: string; readonly sql: string } | { readonly saved: string };
  readonly params: readonly SqlValue[];
  /** Rows wanted; the operator's limit is never passed. */
  readonly limit: number | undefined;
}

export function createGateway(dependencies: GatewayDependencies): Gateway {
  const { policy, sources, organisation, limits, statements } = dependencies;
  const record = withCallLog(createRecorder(dependencies), dependencies);
  const { maxRows, maxResultBytes: maxBytes, keptBytes, keptRows, querySeconds, pageCharacters } = limits;

  interface Work {
    readonly call: Call;
    readonly catalogue: Catalogue;
    readonly workspace: WorkspaceAccess;
  }
  const run = <T>(
    caller: Caller,
    asked: Omit<Asked, "slot"> & Partial<Pick<Asked, "slot">>,
    work: (work: Work) => Answered<T> | Promise<Answered<T>>,
  ): Promise<T> =>
    record(caller, { slot: null, ...asked }, async (call) => {
      const catalogue = openCatalogue(policy, sources, freely(policy, call.subject));
      const workspace = accessWorkspace(dependencies, call.subject, call.id);
      try {
        return await work({ call, catalogue, workspace });
      } catch (error) {
        throw withStepUp(error, () => stepUpHint(policy, call.subject, organisation));
      }
    });
  const isSource = (name: string): boolean => name === WORKSPACE || policy.sources.some((known) => known.name === name);
  const statementOf = (source: string, sql: string): AskedStatement => ({
    source: isSource(source) ? source : null,
    digest: statements?.digest(source, sql) ?? null,
  });
  const refusalOf = ({ identity }: Caller, statement: AskedStatement | undefined, isSaved: boolean) =>
    statement && statements?.refusalOf(ownerIdOf(identity), statement.digest, isSaved);
  const fetching = { pageCharacters, maxBytes, keptBytes };
  const rowsOf = (id: string): number => (resultNameOf(id) === undefined ? 1 : maxRows);

  return {
    describe: (caller, name) =>
      run(caller, { operation: "describe", asked: name ?? "", maxRows: 0 }, ({ catalogue, workspace, call }) =>
        describe(catalogue, workspace, { policy, subject: call.subject, organisation }, name),
      ),
    query: (caller, { what, params, limit }) => {
      const shown = Math.min(limit ?? limits.defaultRows, maxRows);
      const bounds = { maxRows: shown, maxBytes, keptRows, keptBytes, querySeconds };
      if ("sql" in what) {
        const statement = statementOf(what.source, what.sql);
        const refusal = refusalOf(caller, statement, false);
        // What is refused anyway waits for no turn.
        const slot = refusal === undefined ? what.source : null;
        const asked = { operation: "query", asked: `${what.source}: ${what.sql}`, maxRows: shown, slot, statement };
        return run(caller, asked, ({ catalogue, workspace, call: { bookmark } }) => {
          if (refusal !== undefined) throw refusal;
          return query(catalogue, workspace, { ...what, saved: null, params, ...bounds, bookmark });
        });
      }
      const declared = policy.queries.find(({ name }) => name === what.saved);
      const statement = declared && statementOf(declared.source, declared.text);
      const refusal = refusalOf(caller, statement, true);
      const slot = refusal === undefined ? (declared?.source ?? null) : null;
      const asked = { operation: "query", asked: `saved ${what.saved}`, maxRows: shown, slot, statement };
      return run(caller, asked, ({ workspace, call: { bookmark, subject } }) => {
        // Whether there is such a query comes first: its refusal says that there is.
        const saved = findSaved(policy, subject, what.saved);
        if (refusal !== undefined) throw refusal;
        const catalogue = openCatalogue(policy, sources, forSaved(policy, subject, saved));
        const request = { source: saved.source, sql: saved.text, saved, params: bindSaved(saved, params), bookmark };
        return query(catalogue, workspace, { ...request, ...bounds });
      });
    },
    search: (caller, text, limit) =>
      run(caller, { operation: "search", asked: text, maxRows: limit }, ({ catalogue, workspace, call }) =>
        search(catalogue, workspace, savedFor(policy, call.subject), text, limit),
      ),
    fetch: (caller, id, page) =>
      run(
        caller,
        { operation: "fetch", asked: id, maxRows: rowsOf(id) },
        ({ catalogue, workspace, call }) =>
          fetchSaved(policy, call.subject, id) ??
          fetchOne(catalogue, workspace, {
            id,
            page,
            ...fetching,
            tables: { maxRows: keptRows, maxValueBytes: maxBytes },
          }),
      ),
    readResource: (caller, uri) =>
      run(caller, { operation: "read resource", asked: uri, maxRows: rowsOf(uri) }, ({ catalogue, workspace }) =>
        fetchResource(catalogue, workspace, { id: uri, page: 1, ...fetching, tables: null }),
      ),
    listResources: (caller) =>
      run(caller, { operation: "list resources", asked: "", maxRows: 0 }, ({ catalogue, workspace }) =>
        listResources(catalogue, workspace),
      ),
    introduce: (caller) =>
      run(caller, { operation: "introduce", asked: "", maxRows: 0 }, ({ catalogue, call: { subject } }) =>
        introduce(catalogue, savedFor(policy, subject), policy, subject),
      ),
    complete: (caller, wanted) =>
      run(
        caller,
        { operation: "complete", asked: `${wanted.kind} ${wanted.prefix}`, maxRows: 0 },
        ({ catalogue, workspace }) => complete(catalogue, workspace, wanted),
      ),
    replay: (caller, answer) => replay(record, caller, answer),
  };
}

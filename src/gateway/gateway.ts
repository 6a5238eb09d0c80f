// The policy enforcement point, and the only path from the server's tools to the data. It records each operation, applies the
// policy, reads through guard views, and enforces the operator's limits.
import type { AuditSettings, Limits, Organisation } from "../config/define-gatehouse.ts";
import { getOwnerId } from "../lib/identity.ts";
import type { Policy, Subject } from "../policy/model.ts";
import { withSavedQueryRoles, withoutSavedOnlyRoles, listSavedQueries } from "../policy/saved-query.ts";
import type { SqlValue } from "../sql/parameters.ts";
import type { Source } from "../read/source.ts";
import { WORKSPACE } from "../results/workspace-source.ts";
import { foldName } from "../sql/identifier.ts";
import { hideLiterals } from "../sql/hidden-literals.ts";
import { withCallLog } from "../audit/call-log.ts";
import type { LoggedStatement, CallLogDependencies } from "../audit/call-log.ts";
import type { Caller } from "../lib/identity.ts";
import { findTarget, listVisibleDatasets } from "./visible-datasets.ts";
import type { VisibleDatasets } from "./visible-datasets.ts";
import { describe } from "./describe.ts";
import type { Description } from "./describe.ts";
import { complete } from "./complete.ts";
import type { Completions, CompletionRequest } from "./complete.ts";
import type { QueryAnswer } from "./query-answer.ts";
import { fetchById, fetchResource } from "./fetch.ts";
import type { ResourceText } from "./fetch.ts";
import type { FetchAnswer } from "../answers/fetch-answer.ts";
import { query } from "./query.ts";
import { createWithAudit } from "../audit/audit.ts";
import type { Audited, AuditRequest, AuditedCall, AuditDependencies } from "../audit/audit.ts";
import { limitKeys } from "../audit/record-keys.ts";
import type { RefusedStatements } from "../audit/refused-statements.ts";
import { introduce } from "./introduce.ts";
import type { Introduction } from "./introduce.ts";
import { describePaused, explainPause, toDenial, withoutPaused } from "./paused-sources.ts";
import { mayReplayAnswer } from "./replay-answer.ts";
import type { StoredAnswer } from "./replay-answer.ts";
import { listResources } from "./list-resources.ts";
import type { ResourceEntry } from "./list-resources.ts";
import { isMaskingToken } from "../masking-tokens/masking-token-store.ts";
import { parseResultName } from "../results/stored-results.ts";
import { bindSavedQuery, fetchSavedQuery, findSavedQuery } from "../saved-queries/saved-queries.ts";
import {
  changeUri,
  decideInForm,
  fetchChange,
  maySeeChange,
  parseChangeName,
  proposeChange,
  proposeUndo,
  viewChange,
} from "./change.ts";
import type { ChangeAnswer, ChangeServices, ProposedAnswer } from "./change.ts";
import type { Decision } from "../changes/change-view.ts";
import type { ProposalContext, ProposalInput } from "../changes/change-proposals.ts";
import { isUnderWay } from "../changes/change-states.ts";
import { ROW_MIME_TYPE } from "./mime-types.ts";
import { search } from "./search.ts";
import type { SearchAnswer } from "./search.ts";
import { buildRoleHint, addRoleHint } from "./role-hint.ts";
import { openWorkspaceAccess, openWorkspaceReading } from "../results/workspace-access.ts";
import type { WorkspaceAccess, WorkspaceDependencies } from "../results/workspace-access.ts";

export interface GatewayDependencies extends AuditDependencies, CallLogDependencies, WorkspaceDependencies {
  readonly policy: Policy;
  readonly sources: readonly Source[];
  readonly organisation: Organisation;
  readonly limits: Limits;
  readonly audit: AuditSettings;
  /** Names statements in the log and refuses those that stopped the server. Without it, neither happens. */
  readonly refusedStatements?: RefusedStatements;
  readonly changes: ChangeServices;
}

/** The operations of the gateway. Each one throws `AppError` with the codes that its own file lists, and those of `WithAudit`. */
export interface Gateway {
  describe(caller: Caller, name: string | undefined): Promise<Description>;
  query(caller: Caller, request: QueryInput): Promise<QueryAnswer>;
  search(caller: Caller, text: string, limit: number): Promise<SearchAnswer>;
  fetch(caller: Caller, id: string, page: number): Promise<FetchAnswer>;
  /** Reads what a `gatehouse://` URI names, as text. */
  readResource(caller: Caller, uri: string): Promise<ResourceText>;
  listResources(caller: Caller): Promise<readonly ResourceEntry[]>;
  /** Returns what the start page shows a user: their roles, the sources that they may read, and questions to ask first. */
  introduce(caller: Caller): Promise<Introduction>;
  /** Proposes a change of rows. It is applied after the approval that the policy asks for. */
  change(caller: Caller, input: ProposalInput): Promise<ProposedAnswer>;
  /** Proposes to take an applied change back. */
  undo(caller: Caller, input: { readonly change: string; readonly reason: string }): Promise<ProposedAnswer>;
  /** Decides on the caller's own change, as the person has answered in a form of the client. */
  decideInForm(caller: Caller, decision: Decision & { readonly id: string }): Promise<ChangeAnswer>;
  /** Returns a change that the caller may see, as it is. */
  viewChange(caller: Caller, id: string): Promise<ChangeAnswer>;
  /** Waits a while for the decision on a page of this server, and returns the change as it is then. */
  awaitDecision(caller: Caller, id: string): Promise<ChangeAnswer>;
  /** Whether the caller may be notified of changes of what a URI names: a table that they read, or a change that they see. */
  maySubscribe(caller: Caller, uri: string): Promise<boolean>;
  /** Completes a partly typed name. */
  complete(caller: Caller, request: CompletionRequest): Promise<Completions>;
  /** Whether a stored answer may be delivered again. The decision is recorded either way. */
  mayReplay(caller: Caller, answer: StoredAnswer): Promise<boolean>;
}

interface QueryInput {
  readonly target: { readonly source: string; readonly sql: string } | { readonly saved: string };
  readonly params: readonly SqlValue[];
  /** Rows the client asks for. The operator's limit still applies. */
  readonly rowLimit: number | undefined;
}

/** What tools get of the gateway: everything but the decisions of people, which only the definition of change tools passes on. */
export type ToolGateway = Omit<Gateway, "decideInForm" | "awaitDecision">;

/** How long a call waits for a person who has opened the page. Clients give up after a minute. */
const DECISION_WAIT_MS = 30_000;

/** Creates the gateway from its dependencies. */
export function createGateway(dependencies: GatewayDependencies): Gateway {
  const { policy, sources, organisation, limits, audit, refusedStatements, changes } = dependencies;
  const withAudit = withCallLog(createWithAudit(dependencies), dependencies);
  const { maxResultBytes, storedRows, storedBytes, querySeconds, pageCharacters } = limits;
  const workspaceReading = openWorkspaceReading(dependencies);

  interface CallContext {
    readonly call: AuditedCall;
    readonly datasets: VisibleDatasets;
    readonly workspace: WorkspaceAccess;
  }
  const runCall = <T>(
    caller: Caller,
    auditRequest: Omit<AuditRequest, "lockedSource"> & Partial<Pick<AuditRequest, "lockedSource">>,
    operate: (context: CallContext) => Audited<T> | Promise<Audited<T>>,
  ): Promise<T> =>
    withAudit(caller, { lockedSource: null, ...auditRequest }, async (call) => {
      const { pausedSources } = call;
      const listDatasets = (listed: readonly Source[]): VisibleDatasets =>
        listVisibleDatasets(policy, listed, withoutSavedOnlyRoles(policy, call.subject));
      const datasets = listDatasets(withoutPaused(sources, pausedSources));
      const all = pausedSources.size === 0 ? datasets : listDatasets(sources);
      const notice = describePaused(all, pausedSources);
      if (notice !== undefined) caller.onNotice?.(notice);
      const workspace = openWorkspaceAccess(dependencies, workspaceReading, call);
      try {
        const audited = await operate({ call, datasets, workspace });
        return { ...audited, keys: limitKeys(audited.keys ?? {}, limits.recordedKeys) };
      } catch (error) {
        const explained = explainPause(error, all, pausedSources, auditRequest.resource);
        throw addRoleHint(explained, () => buildRoleHint(policy, call.subject, organisation));
      }
    });
  const isSource = (name: string): boolean =>
    name === WORKSPACE || policy.sources.some((source) => source.name === name);
  const buildLoggedStatement = (source: string, sql: string): LoggedStatement => ({
    source: isSource(source) ? source : null,
    digest: refusedStatements?.digest(source, sql) ?? null,
  });
  const findRefusal = ({ identity }: Caller, statement: LoggedStatement | undefined, isSaved: boolean) =>
    statement && refusedStatements?.findRefusal(getOwnerId(identity), statement.digest, isSaved);
  const declaredNames = listDeclaredNames(policy);
  const writeSql = (sql: string): string =>
    audit.arguments === "full" ? sql : hideLiterals(sql, (name) => declaredNames.has(name));
  const fetchChangeByName = (subject: Subject, name: string): Promise<Audited<FetchAnswer>> | undefined => {
    const id = parseChangeName(name);
    return id === undefined ? undefined : fetchChange(changes, subject, id);
  };
  const viewChangeOf = async (caller: Caller, id: string): Promise<ChangeAnswer> =>
    runCall(
      caller,
      { operation: "fetch", requestText: changeUri(id), resource: changeUri(id), reservedRows: limits.defaultRows },
      async ({ call }) => viewChange(changes, call.subject, id),
    );
  const { listChanged } = changes;
  const fetchLimits = { pageCharacters, maxValueBytes: maxResultBytes, storedBytes, listChanged };
  const reserveRows = (id: string): number => (parseResultName(id) === undefined ? 1 : limits.shownRows);

  return {
    describe: (caller, name) =>
      runCall(
        caller,
        { operation: "describe", requestText: name ?? "", resource: name, reservedRows: 0 },
        ({ datasets, workspace, call }) =>
          describe(datasets, workspace, { policy, subject: call.subject, organisation }, name),
      ),
    query: (caller, { target, params, rowLimit }) => {
      const shownRows = Math.min(rowLimit ?? limits.defaultRows, limits.shownRows);
      const bounds = {
        shownRows,
        shownBytes: maxResultBytes,
        storedRows,
        storedBytes,
        querySeconds,
      };
      if ("sql" in target) {
        const statement = buildLoggedStatement(target.source, target.sql);
        const refusal = findRefusal(caller, statement, false);
        // A query that will be refused needs no query lock, so it does not wait for another query to finish.
        const lockedSource = refusal === undefined ? target.source : null;
        const auditRequest = {
          operation: "query",
          requestText: `${target.source}: ${writeSql(target.sql)}`,
          resource: target.source,
          reservedRows: shownRows,
          lockedSource,
          statement,
          mayStoreResult: true,
        };
        return runCall(caller, auditRequest, ({ datasets, workspace, call: { bookmark } }) => {
          if (refusal !== undefined) throw refusal;
          return query(datasets, workspace, { ...target, saved: null, params, ...bounds, bookmark });
        });
      }
      const declaredQuery = policy.queries.find(({ name }) => name === target.saved);
      const statement = declaredQuery && buildLoggedStatement(declaredQuery.source, declaredQuery.text);
      const refusal = findRefusal(caller, statement, true);
      const lockedSource = refusal === undefined ? (declaredQuery?.source ?? null) : null;
      const auditRequest = {
        operation: "query",
        requestText: `saved ${target.saved}`,
        resource: target.saved,
        reservedRows: shownRows,
        lockedSource,
        statement,
        mayStoreResult: true,
      };
      return runCall(caller, auditRequest, ({ workspace, call: { bookmark, subject, pausedSources } }) => {
        // `not_found` goes first: a refusal of the statement would reveal that the saved query exists.
        const savedQuery = findSavedQuery(policy, subject, target.saved);
        if (refusal !== undefined) throw refusal;
        const paused = pausedSources.get(savedQuery.source);
        if (paused !== undefined) throw toDenial(paused, savedQuery.source);
        const datasets = listVisibleDatasets(policy, sources, withSavedQueryRoles(policy, subject, savedQuery));
        const request = {
          source: savedQuery.source,
          sql: savedQuery.text,
          saved: savedQuery,
          params: bindSavedQuery(savedQuery, params),
          bookmark,
        };
        return query(datasets, workspace, { ...request, ...bounds });
      });
    },
    search: (caller, text, rowLimit) =>
      runCall(
        caller,
        { operation: "search", requestText: text, reservedRows: rowLimit },
        ({ datasets, workspace, call }) =>
          search(datasets, workspace, listSavedQueries(policy, call.subject), text, rowLimit),
      ),
    fetch: (caller, id, page) =>
      runCall(
        caller,
        // A document that is a table is stored as a result.
        {
          operation: "fetch",
          requestText: id,
          resource: id,
          reservedRows: reserveRows(id),
          reservedReveals: isMaskingToken(id) ? 1 : 0,
          mayStoreResult: true,
        },
        ({ datasets, workspace, call }) =>
          fetchSavedQuery(policy, call.subject, id) ??
          fetchChangeByName(call.subject, id) ??
          fetchById(datasets, workspace, {
            id,
            page,
            ...fetchLimits,
            tableLimits: { storedRows, maxValueBytes: maxResultBytes },
          }),
      ),
    readResource: (caller, uri) =>
      runCall(
        caller,
        { operation: "read resource", requestText: uri, resource: uri, reservedRows: reserveRows(uri) },
        async ({ datasets, workspace, call }) => {
          const audited = await fetchChangeByName(call.subject, uri);
          if (audited !== undefined)
            return { ...audited, answer: { text: audited.answer.text, mimeType: ROW_MIME_TYPE, notes: [] } };
          return fetchResource(datasets, workspace, { id: uri, page: 1, ...fetchLimits, tableLimits: null });
        },
      ),
    listResources: (caller) =>
      runCall(caller, { operation: "list resources", requestText: "", reservedRows: 0 }, ({ datasets, workspace }) =>
        listResources(datasets, workspace),
      ),
    introduce: (caller) =>
      runCall(caller, { operation: "introduce", requestText: "", reservedRows: 0 }, ({ datasets, call: { subject } }) =>
        introduce(datasets, listSavedQueries(policy, subject), policy, subject),
      ),
    change: (caller, input) =>
      runCall(
        caller,
        {
          operation: "change",
          requestText: describeProposal(input),
          resource: input.dataset,
          reservedRows: limits.defaultRows,
        },
        async ({ call }) => proposeChange(changes, buildContext(caller, call), input),
      ),
    undo: (caller, input) =>
      runCall(
        caller,
        { operation: "undo", requestText: input.change, resource: input.change, reservedRows: limits.defaultRows },
        async ({ call }) => proposeUndo(changes, buildContext(caller, call), input),
      ),
    decideInForm: (caller, decision) =>
      runCall(
        caller,
        {
          operation: decision.approves ? "approve change" : "deny change",
          requestText: decision.id,
          resource: decision.id,
          reservedRows: limits.defaultRows,
        },
        async ({ call }) => decideInForm(changes, buildContext(caller, call), decision),
      ),
    viewChange: viewChangeOf,
    async awaitDecision(caller, id) {
      const change = await viewChangeOf(caller, id);
      if (!isUnderWay(change.state)) return change;
      try {
        await changes.openChange(id).waitForEnd(DECISION_WAIT_MS);
      } catch {
        // Its object has restarted. The view says what has become of the change.
      }
      return viewChangeOf(caller, id);
    },
    maySubscribe: (caller, uri) =>
      runCall(
        caller,
        { operation: "subscribe", requestText: uri, resource: uri, reservedRows: 0 },
        async ({ datasets, call }) => ({
          answer:
            findTarget(datasets, uri)?.kind === "table" ||
            (await maySeeChange(changes, call.subject, parseChangeName(uri))),
          datasets: [],
          rules: [],
        }),
      ),
    complete: (caller, request) =>
      runCall(
        caller,
        { operation: "complete", requestText: `${request.kind} ${request.prefix}`, reservedRows: 0 },
        ({ datasets, workspace }) => complete(datasets, workspace, request),
      ),
    mayReplay: (caller, answer) => mayReplayAnswer(withAudit, caller, answer),
  };
}

function buildContext({ identity, clientId, callId }: Caller, call: AuditedCall): ProposalContext {
  return { identity, clientId, callId, call };
}

/** Describes a proposal for its audit record, without values and without the text of the model. */
function describeProposal({ operation, dataset, where, values }: ProposalInput): string {
  const names = (record: Readonly<Record<string, unknown>>): string => Object.keys(record).join(", ");
  const set = names(values) === "" ? "" : ` set ${names(values)}`;
  const by = names(where) === "" ? "" : ` where ${names(where)}`;
  return `${operation} ${dataset}${set}${by}`;
}

/** Lists the names of all tables and columns, folded. */
function listDeclaredNames({ datasets }: Policy): ReadonlySet<string> {
  return new Set(
    datasets.flatMap((dataset) =>
      dataset.kind === "table" ? [dataset.table, ...dataset.columns.map(({ name }) => name)].map(foldName) : [],
    ),
  );
}

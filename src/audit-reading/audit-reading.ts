// The operations of auditors, who read the records of all users, and of users, who read their own. Each is audited itself: its record is
// committed before the answer leaves.
import { refusePat, createNoRoleError, BROWSER_CLIENT_ID } from "../audit/browser-operation.ts";
import type { AuditRecordStore, RecordCursor } from "../audit/audit-record-store.ts";
import type { Audited, AuditedCall, AuditRequest, WithAudit } from "../audit/audit.ts";
import { createFilter, formatCursor, parseCursor } from "../audit/record-filter.ts";
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import type { Identity } from "../lib/identity.ts";
import type { MemberStore } from "../members/member-store.ts";
import type { PatStore } from "../personal-access-tokens/pat-store.ts";
import { decideAuditAccess } from "../policy/evaluate.ts";
import { listAuditingRoles } from "../policy/member-input.ts";
import type { Policy } from "../policy/model.ts";
import { createAuditorView } from "./auditor-view.ts";
import { matchRow, nameEntries } from "./named-entry.ts";
import type { NamedEntry } from "../audit/export-fields.ts";
import { READ_LOG_ACTION } from "./operator-reads.ts";
import { listOwnRecords } from "./own-record-pages.ts";
import type { OwnRecordPage, OwnPageRequest } from "./own-record-pages.ts";
import { readNames } from "./record-names.ts";
import type { ClientNames } from "./record-names.ts";
import { parseSearch } from "./search-filters.ts";
import { searchRecords } from "./search-records.ts";

/** Parameters of a request as they were typed, by name. */
export type TypedParameters = Readonly<Record<string, string>>;

/** A page of records. */
export interface NamedPage {
  readonly records: readonly NamedEntry[];
  /** The cursor of the next page; null at the end. */
  readonly next: string | null;
}

/** The operations. Errors of each: those of `createWithAudit`. */
export interface AuditReading {
  /**
   * Lists records, newest first. A page may have fewer records than the limit although more follow. Errors: `not_allowed` without a role
   * that audits, whatever the parameters are; `invalid_input` for a parameter of another form; `not_found` for an unknown user.
   */
  list(auditor: Identity, parameters: TypedParameters): Promise<NamedPage>;
  /** Reads one record. Errors: as `list`; `not_found`. */
  show(auditor: Identity, ledger: string, seq: string): Promise<NamedEntry>;
  /** Lists the user's own records and those of their personal access tokens. Errors: `invalid_input` for a cursor of another form. */
  listOwn(user: Identity, request: OwnPageRequest): Promise<OwnRecordPage>;
}

/** What reading needs. */
export interface AuditReadingDependencies {
  readonly withAudit: WithAudit;
  readonly policy: Policy;
  readonly organisation: Organisation;
  readonly auditRecords: Pick<AuditRecordStore, "list" | "find" | "findLedgers">;
  readonly members: Pick<MemberStore, "listAddresses" | "listSubjects">;
  readonly pats: Pick<PatStore, "listAll" | "list">;
  /** Finds the names with which clients registered themselves. */
  readonly findClientNames: (clientIds: readonly string[]) => Promise<ClientNames>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const FILTERS = ["user", "client", "dataset", "column", "key", "decision", "action", "since", "until"] as const;
const PARAMETERS: readonly string[] = [...FILTERS, "cursor", "limit"];
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;
/** How many parts of the log one request searches: a rare combination of common filters takes several requests. */
const MAX_PARTS = 5;

/** Creates the operations. */
export function createAuditReading(dependencies: AuditReadingDependencies): AuditReading {
  const { withAudit, policy, organisation, auditRecords, findClientNames, now } = dependencies;
  const hideArguments = createAuditorView(policy);
  const readAs = async <T>(
    auditor: Identity,
    request: Pick<AuditRequest, "resource" | "reservedRows">,
    work: (call: AuditedCall) => Promise<Audited<T>>,
  ): Promise<T> =>
    withAudit(
      { identity: auditor, clientId: BROWSER_CLIENT_ID },
      { operation: READ_LOG_ACTION, requestText: "", lockedSource: null, ...request },
      async (call) => {
        if (decideAuditAccess(policy, call.subject) === "none")
          throw createNoRoleError("audit", listAuditingRoles(policy), organisation);
        return work(call);
      },
    );
  const viewOf = ({ subject }: AuditedCall) =>
    decideAuditAccess(policy, subject) === "with arguments" ? (entry: NamedEntry) => entry : hideArguments;

  return {
    async list(auditor, parameters) {
      const limit = parseLimit(parameters["limit"]);
      const request = { resource: JSON.stringify(parameters), reservedRows: limit ?? 0 };
      return readAs(auditor, request, async (call) => {
        const unknown = Object.keys(parameters).find((name) => !PARAMETERS.includes(name));
        if (unknown !== undefined)
          throw invalid(`There is no parameter ${unknown}. There are ${PARAMETERS.join(", ")}.`);
        if (parameters["key"] !== undefined && decideAuditAccess(policy, call.subject) !== "with arguments")
          throw invalid('key takes a role with audits: "with arguments", because keys of rows may be personal data.');
        if (limit === null) throw invalid(`limit takes a number from 1 to ${MAX_LIMIT}.`);
        const cursor = requireCursor(parameters["cursor"]);
        const names = await readNames(dependencies);
        const context = { directory: dependencies, names, nowMs: now(), label: (filter: string) => filter };
        const search = await parseSearch(pickFilters(parameters), context);
        const { row } = search;
        const filter = createFilter(search);
        const { records, next } = await searchRecords(auditRecords, {
          filter,
          start: cursor,
          limit,
          maxParts: MAX_PARTS,
        });
        const show = viewOf(call);
        const shown = (await nameEntries(records, names, findClientNames)).map((entry) => ({
          ...show(entry),
          ...(row === undefined ? {} : { showsRow: matchRow(entry, row) }),
        }));
        return toAudited({ records: shown, next: next === null ? null : formatCursor(next) }, shown.length);
      });
    },
    show: async (auditor, ledger, seq) =>
      readAs(auditor, { resource: `${ledger}/${seq}`, reservedRows: 1 }, async (call) => {
        const record = /^\d{1,15}$/.test(seq) ? await auditRecords.find(ledger, Number(seq)) : null;
        if (record === null) throw new AppError("not_found", "There is no record with this id.");
        const [entry] = await nameEntries([record], await readNames(dependencies), findClientNames);
        if (entry === undefined) throw new TypeError("a record has no entry");
        return toAudited(viewOf(call)(entry), 1);
      }),
    listOwn: async (user, request) =>
      withAudit(
        { identity: user, clientId: BROWSER_CLIENT_ID },
        { operation: "read own records", requestText: "", reservedRows: 0, lockedSource: null, priority: "listing" },
        async ({ subject: { subjectId } }) => {
          refusePat(user);
          const page = await listOwnRecords(dependencies, subjectId, request);
          return toAudited(page, page.records.length);
        },
      ),
  };
}

function toAudited<T>(answer: T, rows: number): Audited<T> {
  return { answer, datasets: [], rules: [], rows };
}

function pickFilters(parameters: TypedParameters): TypedParameters {
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => FILTERS.some((filter) => filter === name)));
}

/** Null for anything but a number from 1 to the maximum. */
function parseLimit(text: string | undefined): number | null {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= MAX_LIMIT ? limit : null;
}

/** Parses a cursor. Errors: `invalid_input`. */
function requireCursor(text: string | undefined): RecordCursor | null {
  const cursor = text === undefined ? null : parseCursor(text);
  if (text !== undefined && cursor === null) throw invalid("cursor takes what the page before returned as next.");
  return cursor;
}

const invalid = (message: string): AppError => new AppError("invalid_input", message);

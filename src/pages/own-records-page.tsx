// The page that shows a signed-in user what was asked in their name, by clients and by their personal access tokens.
import { Hono } from "hono";
import type { AuditReading } from "../audit-reading/audit-reading.ts";
import type { OwnRecord, OwnRecordPage } from "../audit-reading/own-record-pages.ts";
import { AppError, ERROR_CODES } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import { shortenText } from "../lib/text-cut.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import type { AuthorizeEnv } from "../oauth/authorize.tsx";
import type { BrowserSessions } from "../sign-in/browser-session.ts";
import { problemPage, redirect } from "../sign-in/problem-page.tsx";
import { buildSignInPath } from "../sign-in/sign-in.ts";
import { Timestamp } from "../ui/components.tsx";
import { htmlPage } from "../ui/layout.tsx";
import { toHttpStatus } from "./api-guards.ts";
import { OWN_RECORDS_PATH } from "./start-page-user.tsx";
import { SignedInUser } from "./start-page.tsx";

/** What the page needs. */
export interface OwnRecordsOptions {
  readonly sessions: BrowserSessions;
  readonly organisation: string;
  readonly auditReading: AuditReading;
}

const PAGE_RECORDS = 25;
/** A page stays below 50 KB. The JSON API has the whole text. */
const MAX_SHOWN_CHARACTERS = 400;

/** How clients of this server itself appear. */
const OWN_CLIENTS: Readonly<Record<string, string>> = {
  browser: "the pages of this server",
  "start page": "the start page of this server",
  "": "this server",
};

const OUTCOMES: Readonly<Record<ErrorCode, string>> = {
  invalid_input: "Not answered: the request was not valid",
  not_found: "Not answered: nothing was found under this name",
  not_signed_in: "Refused: the sign-in had ended",
  not_allowed: "Refused: not allowed",
  query_refused: "Refused: a query of this form is not run",
  query_failed: "Not answered: the query failed",
  limit_reached: "Refused: a limit was reached",
  conflict: "Not done: the rows had changed meanwhile",
  paused: "Refused: an operator had paused this",
  record_full: "Refused: the record of calls was full",
  interrupted: "Interrupted: no answer left this server",
  source_unavailable: "Not answered: the data was not available",
  internal: "Not answered: an internal error",
};

/** Creates the route of the page. */
export function createOwnRecordsRoutes({
  sessions,
  organisation,
  auditReading,
}: OwnRecordsOptions): Hono<AuthorizeEnv> {
  return new Hono<AuthorizeEnv>().get(OWN_RECORDS_PATH, async ({ req }) => {
    const session = await sessions.read(req.raw);
    if (session === undefined) return redirect(buildSignInPath(OWN_RECORDS_PATH));
    const { after, before } = req.query();
    const request = { cursor: before ?? after, isNewer: before !== undefined, limit: PAGE_RECORDS };
    let page: OwnRecordPage;
    try {
      page = await auditReading.listOwn(session.identity, request);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const next = <a href="/">Go to the start page</a>;
      return problemPage(error.publicMessage, { status: toHttpStatus(error.code), next });
    }
    return htmlPage({
      title: "What was asked in your name",
      organisation,
      visitor: <SignedInUser session={session} />,
      body: <Records {...page} />,
    });
  });
}

function Records({ records, older, newer }: OwnRecordPage) {
  return (
    <>
      <p class="lead">
        Every request of the assistants that you connected and of your personal access tokens, and changes of your
        access. A request appears here about ten seconds after it.
      </p>
      {records.length === 0 ? (
        <p>
          {newer === null
            ? "There is nothing here yet. Ask your assistant something, then load this page again."
            : "There is nothing older."}
        </p>
      ) : (
        <ul class="rows">
          {records.map((record) => (
            <RecordRow {...record} />
          ))}
        </ul>
      )}
      <nav class="actions" aria-label="Pages">
        {newer !== null && (
          <a class="button small" rel="prev" href={`${OWN_RECORDS_PATH}?before=${newer}`}>
            Newer
          </a>
        )}
        {older !== null && (
          <a class="button small" rel="next" href={`${OWN_RECORDS_PATH}?after=${older}`}>
            Older
          </a>
        )}
        <a href="/">Start page</a>
      </nav>
    </>
  );
}

function RecordRow({
  ended,
  client,
  clientName,
  accessToken,
  action,
  resource,
  arguments: asked,
  ...outcome
}: OwnRecord) {
  // Both name the same for documents and rows.
  const isNamed = resource !== null && resource !== "" && resource !== asked;
  return (
    <li>
      <div>
        <strong>{showText(capitalize(action ?? "unknown action"))}</strong>
        {isNamed && (
          <>
            {" "}
            <bdi>{showText(resource)}</bdi>
          </>
        )}
        <p class="small soft">
          <RecordTime ended={ended} />, by {accessToken === null ? "" : "your personal access token "}
          <bdi>{clientName ?? OWN_CLIENTS[client ?? ""] ?? showText(client ?? "")}</bdi>
        </p>
        {asked !== null && asked !== "" && <pre class="copy">{showText(asked)}</pre>}
      </div>
      <p class="small">{describeOutcome(outcome)}</p>
    </li>
  );
}

function RecordTime({ ended }: Pick<OwnRecord, "ended">) {
  const ms = Date.parse(ended ?? "");
  return Number.isNaN(ms) ? <span>unknown time</span> : <Timestamp ms={ms} />;
}

function describeOutcome({
  isAnswered,
  code,
  rows,
  cut,
}: Pick<OwnRecord, "isAnswered" | "code" | "rows" | "cut">): string {
  if (!isAnswered) return OUTCOMES[ERROR_CODES.find((known) => known === code) ?? "interrupted"];
  const count = rows === null || rows === 0 ? "" : rows === 1 ? ", 1 row" : `, ${rows} rows`;
  return `Answered${count}${cut === true ? ", and there were more" : ""}`;
}

/** Shows the invisible characters of a text, and keeps its lines apart. */
function showText(text: string): string {
  return shortenText(text, MAX_SHOWN_CHARACTERS).replaceAll(/[^\n\t]+/g, escapeInvisible);
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

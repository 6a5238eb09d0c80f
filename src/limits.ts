// What an operator bounds: sizes, times and numbers, with their defaults.
import * as z from "zod";

/** Every limit with its default; docs/operating.md explains each. */
export const limitsSchema = z.strictObject({
  /** Rows of a query when the caller names no limit. */
  defaultRows: z.int().min(1).default(100),
  /** Rows of a query at most. */
  maxRows: z.int().min(1).max(10_000).default(500),
  /** Bytes of a query's rows at most, as JSON. */
  maxResultBytes: z.int().min(1000).default(40_000),
  /** Steps that a query may take, by the estimate of its plan: about three for each row that is looked at. */
  maxQuerySteps: z.int().min(1_000_000).default(1_000_000_000),
  /** Rows of a query that are read and kept at most. */
  keptRows: z.int().min(1).max(50_000).default(5000),
  /** Bytes of one result that are kept at most. */
  keptBytes: z.int().min(10_000).max(8_000_000).default(1_000_000),
  /** Results that are kept for one person. */
  workspaceResults: z.int().min(1).max(200).default(50),
  /** Bytes of the results that are kept for one person. */
  workspaceBytes: z
    .int()
    .min(10_000)
    .default(20 * 1024 * 1024),
  /** How long a result is kept. */
  resultSeconds: z
    .int()
    .min(60)
    .default(24 * 3600),
  /** Characters of a document on one page of fetch. */
  pageCharacters: z.int().min(1000).default(20_000),
  /** How old the index of documents may become before a sweep looks for edits made outside. */
  indexSeconds: z.int().min(60).default(3600),
  /** Documents that one run of a sweep looks at; the next goes on behind them. */
  sweepDocuments: z.int().min(1000).default(20_000),
  /** Rows that may leave for one person per UTC day. */
  rowsPerDay: z.int().min(1).default(50_000),
  /** Bytes of records that may wait in one person's ledger. */
  outboxBytes: z
    .int()
    .min(100_000)
    .default(16 * 1024 * 1024),
  /** How long one call may take before it counts as interrupted. */
  leaseSeconds: z.int().min(5).default(60),
  /** How long a query waits while another one of the same person runs on its source. */
  queueSeconds: z.int().min(1).max(60).default(10),
  /** How long a person waits for the database. */
  querySeconds: z.int().min(1).max(60).default(20),
  /** How long a session of the 2025 era lives without a request. */
  sessionIdleSeconds: z
    .int()
    .min(600)
    .default(24 * 3600),
  /** Sessions of the 2025 era that one person may have open. */
  maxSessionsPerSubject: z.int().min(1).default(100),
  /** Open subscription streams of one connection. */
  maxListensPerGrant: z.int().min(1).default(10),
  /** Resources that one listener may subscribe to. */
  maxTopicsPerListener: z.int().min(1).default(1000),
  /** Streams that one session may have open. */
  maxStreams: z.int().min(1).default(16),
  /** Events that a session keeps, so that its streams can be resumed. */
  maxEvents: z.int().min(10).default(1000),
  /** Bytes of events that a session keeps. */
  maxLogBytes: z
    .int()
    .min(10_000)
    .default(8 * 1024 * 1024),
  /** Bytes of one message on a stream. */
  maxMessageBytes: z.int().min(10_000).max(2_000_000).default(1_000_000),
  /** How long an access token lives. */
  accessTokenSeconds: z.int().min(60).default(3600),
  /** How long a sign-in lives when the client does not use it. */
  refreshTokenSeconds: z
    .int()
    .min(3600)
    .default(30 * 24 * 3600),
  /** How long a sign-in to our own pages lives without a request. */
  browserIdleSeconds: z.int().min(300).default(7200),
  /** How long a sign-in to our own pages lives at most. */
  browserSessionSeconds: z
    .int()
    .min(300)
    .max(30 * 24 * 3600)
    .default(12 * 3600),
  /** How long a refresh token that was used is answered the same again, for clients that ask twice. */
  refreshGraceSeconds: z.int().min(0).max(600).default(60),
  /** How long an access token for programs lives at most. */
  programTokenSeconds: z
    .int()
    .min(24 * 3600)
    .default(90 * 24 * 3600),
  /** Usable access tokens for programs that one person may have. */
  maxProgramTokens: z.int().min(0).default(20),
  /** Personal access tokens that one person can make per UTC day; revoked ones count. */
  maxNewPatsPerDay: z.int().min(0).default(50),
  /** Bytes of a request body to /mcp at most. */
  maxBodyBytes: z
    .int()
    .min(1000)
    .default(4 * 1024 * 1024),
});

export type Limits = Readonly<z.output<typeof limitsSchema>>;

/** Each pair's first must not be more than its second. */
const ORDERED_LIMITS = [
  ["defaultRows", "maxRows"],
  ["maxRows", "keptRows"],
  ["maxResultBytes", "keptBytes"],
  ["keptBytes", "workspaceBytes"],
  ["querySeconds", "leaseSeconds"],
  ["browserIdleSeconds", "browserSessionSeconds"],
] as const satisfies readonly (readonly [keyof Limits, keyof Limits])[];

/** Limits that contradict each other, each with what to do. */
export function checkLimits(limits: Limits): readonly string[] {
  return ORDERED_LIMITS.flatMap(([less, more]) =>
    limits[less] > limits[more] ? [`limits.${less}: is more than limits.${more}. Lower it.`] : [],
  );
}

// Defines the limits that an operator can set, with their defaults, and checks that they do not contradict each other.
import * as z from "zod";
import type { PolicyProblem } from "../policy/policy-problem.ts";

/** The schema of `limits`. docs/limits.md explains each limit. */
export const limitsSchema = z.strictObject({
  /** Rows that a query returns when the caller sets no limit. */
  defaultRows: z.int().min(1).default(100),
  /** Maximum rows that a query, or one page of a stored result, returns. */
  shownRows: z.int().min(1).max(10_000).default(500),
  /** Maximum bytes of a query's returned rows, as JSON. */
  maxResultBytes: z.int().min(1000).default(40_000),
  /** Maximum steps of a query by the estimate of its plan, which counts about three for each row that is read. */
  maxQuerySteps: z.int().min(1_000_000).default(1_000_000_000),
  /** Maximum rows of a query that are read and stored as its result. */
  storedRows: z.int().min(1).max(50_000).default(5000),
  /** Maximum bytes of one stored result. */
  storedBytes: z.int().min(10_000).max(8_000_000).default(1_000_000),
  /** Maximum stored results of one user. */
  workspaceResults: z.int().min(1).max(200).default(50),
  /** Maximum bytes of all stored results of one user. */
  workspaceBytes: z
    .int()
    .min(10_000)
    .default(20 * 1024 * 1024),
  /** How long a result is stored. */
  resultSeconds: z
    .int()
    .min(60)
    .default(24 * 3600),
  /** Characters of a document that one page of fetch returns. */
  pageCharacters: z.int().min(1000).default(20_000),
  /** Maximum age of the document index before it is compared with the namespace, to find edits that Gatehouse did not make. */
  indexSeconds: z.int().min(60).default(3600),
  /** Documents that one reindexing run reads. The next run continues after them. */
  reindexDocuments: z.int().min(1000).default(20_000),
  /** Maximum rows per database that the upkeep's ANALYZE may read within a day; 0 turns it off. */
  analyzedRowsPerDay: z.int().min(0).default(2_000_000),
  /** Rows that one user may receive per UTC day. */
  rowsPerDay: z.int().min(1).default(50_000),
  /** Bytes of answers that one user may receive per UTC day. */
  bytesPerDay: z.int().min(1).default(50_000_000),
  /** Calls that one user may make per UTC day. */
  callsPerDay: z.int().min(1).default(30_000),
  /** Masking tokens that one user may try to exchange for values per UTC day. */
  revealsPerDay: z.int().min(0).default(500),
  /** The same in five minutes. */
  rowsPerBurst: z.int().min(1).default(25_000),
  bytesPerBurst: z.int().min(1).default(20_000_000),
  callsPerBurst: z.int().min(1).default(3000),
  revealsPerBurst: z.int().min(0).default(50),
  /** Maximum bytes of audit records that may wait in one user's ledger. */
  maxAuditBytes: z
    .int()
    .min(100_000)
    .default(16 * 1024 * 1024),
  /** Maximum keys of each dataset that an audit record holds. */
  recordedKeys: z.int().min(1).max(500).default(100),
  /** How long a call may take before it counts as interrupted. */
  leaseSeconds: z.int().min(5).default(60),
  /** How long a query waits while another query of the same user runs on its source. */
  queueSeconds: z.int().min(1).max(60).default(10),
  /** How long a query waits for the database. */
  querySeconds: z.int().min(1).max(60).default(20),
  /** Lifetime of a session of the 2025 era without a request. */
  sessionIdleSeconds: z
    .int()
    .min(600)
    .default(24 * 3600),
  /** Maximum open sessions of the 2025 era of one user. */
  maxSessionsPerSubject: z.int().min(1).default(100),
  /** Maximum open subscription streams of one connection. */
  maxListensPerGrant: z.int().min(1).default(10),
  /** Maximum resources that one listener may subscribe to. */
  maxTopicsPerListener: z.int().min(1).default(1000),
  /** Maximum open streams of one session. */
  maxStreams: z.int().min(1).default(16),
  /** Maximum events that a session stores for resuming its streams. */
  maxEvents: z.int().min(10).default(1000),
  /** Maximum bytes of the events that a session stores. */
  maxLogBytes: z
    .int()
    .min(10_000)
    .default(8 * 1024 * 1024),
  /** Maximum bytes of one message on a stream. */
  maxMessageBytes: z.int().min(10_000).max(2_000_000).default(1_000_000),
  /** Lifetime of an access token. */
  accessTokenSeconds: z.int().min(60).default(3600),
  /** Lifetime of a refresh token that the client does not use. */
  refreshTokenSeconds: z
    .int()
    .min(3600)
    .default(30 * 24 * 3600),
  /** Lifetime of a browser session on Gatehouse's pages without a request. */
  browserIdleSeconds: z.int().min(300).default(7200),
  /** Maximum lifetime of a browser session on Gatehouse's pages. */
  browserSessionSeconds: z
    .int()
    .min(300)
    .max(30 * 24 * 3600)
    .default(12 * 3600),
  /** How long a used refresh token gets the same response again, for clients that repeat a request. */
  refreshGraceSeconds: z.int().min(0).max(600).default(60),
  /** Maximum lifetime of a personal access token. */
  patMaxAgeSeconds: z
    .int()
    .min(24 * 3600)
    .default(90 * 24 * 3600),
  /** Maximum active personal access tokens of one user. */
  maxActivePats: z.int().min(0).default(20),
  /** Maximum personal access tokens that one user can create per UTC day, including revoked ones. */
  maxNewPatsPerDay: z.int().min(0).default(50),
  /** Maximum changes of one user that may wait for a decision or be applied at a time. */
  openChanges: z.int().min(1).default(20),
  /** The same of one dataset, of all users. */
  openChangesPerDataset: z.int().min(1).default(200),
  /** How long a proposed change waits for a decision. */
  changeSeconds: z
    .int()
    .min(300)
    .default(3 * 24 * 3600),
  /** How long an approved change may wait until it is applied, for example while the database cannot be reached. */
  approvalSeconds: z.int().min(60).default(600),
  /** How long an applied change can be undone. */
  undoSeconds: z
    .int()
    .min(0)
    .default(30 * 24 * 3600),
  /** How long after text of outsiders was read every change of the user needs a person's confirmation. */
  untrustedWindowSeconds: z
    .int()
    .min(0)
    .default(24 * 3600),
  /** Maximum bytes of a request body to /mcp. */
  maxBodyBytes: z
    .int()
    .min(1000)
    .default(4 * 1024 * 1024),
});

/** The limits in force. */
export type Limits = Readonly<z.output<typeof limitsSchema>>;

/** The first limit of each pair must not exceed the second. */
const ORDERED_LIMITS = [
  ["defaultRows", "shownRows"],
  ["rowsPerBurst", "rowsPerDay"],
  ["bytesPerBurst", "bytesPerDay"],
  ["callsPerBurst", "callsPerDay"],
  ["revealsPerBurst", "revealsPerDay"],
  ["shownRows", "storedRows"],
  ["maxResultBytes", "storedBytes"],
  ["storedBytes", "workspaceBytes"],
  ["querySeconds", "leaseSeconds"],
  ["browserIdleSeconds", "browserSessionSeconds"],
] as const satisfies readonly (readonly [keyof Limits, keyof Limits])[];

/** Finds limits that contradict each other. */
export function checkLimits(limits: Limits): readonly PolicyProblem[] {
  return ORDERED_LIMITS.flatMap(([lower, upper]) =>
    limits[lower] > limits[upper] ? [{ path: ["limits", lower], message: `exceeds limits.${upper}. Lower it.` }] : [],
  );
}

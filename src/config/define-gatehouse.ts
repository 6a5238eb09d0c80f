// Parses what an operator configures: the policy file in defineGatehouse(), and the environment in parseEnv(). Both run once, and later
// code trusts the result. How users sign in is parsed in sign-in/.
import * as z from "zod";
import { isLoopbackHost } from "../lib/loopback.ts";
import { checkLimits, limitsSchema } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { signalsSchema } from "./signal-settings.ts";
import type { SignalSettings } from "./signal-settings.ts";
import { checkPolicy } from "../policy/check-policy.ts";
import type { Mask, Policy, SubjectValue } from "../policy/model.ts";
import { PolicyFileError, describeIssue, listSchemaProblems } from "../policy/policy-problem.ts";
import { parseD1Source, policySchema } from "../policy/policy-schema.ts";

export type { Limits } from "./limits.ts";

/** Who operates this deployment, for pages and messages. */
export interface Organisation {
  readonly name: string;
  /** Whom users ask for access: a name, an address or a page. */
  readonly contact: string;
}

/** Schemes that a browser handles itself, or that could run code or read files in it. None of them returns to an application. */
const BROWSER_SCHEMES =
  /^(?:https?|wss?|ftp|javascript|vbscript|data|blob|file|filesystem|about|mailto|tel|sms|intent|view-source)$/;

const auditSchema = z.strictObject({
  /** What records hold of the SQL that users write: `shape` has `?` for each literal, `full` has all of it. */
  arguments: z.enum(["shape", "full"]).default("shape"),
  /** After how many days records are removed from GATEHOUSE_DB. Without it they stay. */
  retentionDays: z.int().min(1).optional(),
  /** Whether each record is also a line of the log: `ocsf` has the field names of the Open Cybersecurity Schema Framework. */
  log: z.enum(["off", "ocsf"]).default("off"),
});

/** What audit records hold, and whether they are logged. */
export type AuditSettings = Readonly<z.output<typeof auditSchema>>;

/** The schema of the policy file. `docs/configuration.md` explains every key, and a test compares the two. */
export const gatehouseSchema = z.strictObject({
  organisation: z.strictObject({ name: z.string().min(1), contact: z.string().min(1) }),
  /** Web origins whose pages may call /mcp, besides this server's own. */
  allowedOrigins: z
    .array(z.url().refine((url) => new URL(url).origin === url, "must be an origin, such as https://app.example.com"))
    .default([]),
  /** Private-use schemes that the redirect URIs of clients may have (RFC 8252 §7.1), besides https and loopback http. */
  allowedRedirectSchemes: z
    .array(
      z
        .string()
        .refine(
          (scheme) => /^[a-z][a-z0-9+.-]*$/.test(scheme) && !BROWSER_SCHEMES.test(scheme),
          "must be an application's scheme in lower case and without a colon, such as cursor, not a scheme of browsers",
        ),
    )
    .default(["cursor", "claude"]),
  limits: limitsSchema.prefault({}),
  /** What audit records hold, and whether they are logged. */
  audit: auditSchema.prefault({}),
  /** When the log has a signal. */
  signals: signalsSchema.prefault({}),
  ...policySchema.shape,
});

/** A policy file as an operator writes it. */
export type GatehouseInput = z.input<typeof gatehouseSchema>;

/** A checked policy file. */
export interface Gatehouse {
  readonly organisation: Organisation;
  readonly allowedOrigins: readonly string[];
  readonly allowedRedirectSchemes: readonly string[];
  readonly limits: Limits;
  readonly audit: AuditSettings;
  readonly signals: SignalSettings;
  readonly policy: Policy;
}

/** Checks a policy file. Throws `PolicyFileError` with all problems. */
export function defineGatehouse(input: GatehouseInput): Gatehouse {
  const parsed = gatehouseSchema.safeParse(input, { error: describeIssue });
  if (!parsed.success) throw new PolicyFileError(listSchemaProblems(parsed.error));
  const { organisation, allowedOrigins, allowedRedirectSchemes, limits, audit, signals, ...rest } = parsed.data;
  const { sources, roles, members, groups, attributes, queries } = rest;
  const { policy, problems } = checkPolicy({ sources, roles, members, groups, attributes, queries });
  const limitProblems = checkLimits(limits);
  if (problems.length + limitProblems.length > 0) throw new PolicyFileError([...problems, ...limitProblems]);
  return { organisation, allowedOrigins, allowedRedirectSchemes, limits, audit, signals, policy };
}

/**
 * Parses a D1 source from the data of a file that `npm run introspect` wrote. Throws `PolicyFileError` with all
 * problems.
 */
export function readSource(file: string, data: unknown): GatehouseInput["sources"][string] {
  const parsed = parseD1Source(data);
  if (parsed.success) return parsed.data;
  throw new PolicyFileError(listSchemaProblems(parsed.error).map((problem) => ({ ...problem, file })));
}

/** The masks that a rule can put on a column. */
export const mask = {
  /** Any type → `[redacted]`. */
  redact: { kind: "redact" },
  /** Any type → NULL, which does not even show whether there is a value. */
  null: { kind: "null" },
  /**
   * text, integer → a masking token such as `tok_k3v…`. Equal values of a domain have equal masking tokens in every source, so they
   * can be joined and counted. Needs the secret GATEHOUSE_TOKEN_KEY.
   */
  token: (domain: string) => ({ kind: "token" as const, domain }),
  /** integer, real → the lower bound of the range of width `size` that contains the value: 20 for 20 to below 30 and a size of 10. */
  bucket: (size: number) => ({ kind: "bucket" as const, size }),
  /** integer, real → the nearest multiple of `step`; halves are rounded away from zero. */
  round: (step: number) => ({ kind: "round" as const, step }),
  /** date, datetime → the first day of the month, such as `2026-05-01`, at 00:00:00 where the value has a time. */
  month: { kind: "month" },
  /** date, datetime → the first day of the year, such as `2026-01-01`, at 00:00:00 where the value has a time. */
  year: { kind: "year" },
  /** text → `a…@harbor.example`. */
  email: { kind: "email" },
  /** text → `…` and the last `count` (1–12) characters, if the text is at least twice as long. */
  last: (count: number) => ({ kind: "last" as const, count }),
} as const satisfies Record<string, Mask | ((count: number) => Mask) | ((domain: string) => Mask)>;

/**
 * Writes a row rule in SQL over the columns of its table, such as `total_cents > 1000 AND region = :region`. It may use comparisons, AND,
 * OR, NOT, CASE and functions of a single row. `:name` is the signed-in user's `id`, `email` or attribute, as with `subject`.
 */
export function sql(expression: string): { readonly sql: string } {
  return { sql: expression };
}

/** Names the signed-in user's `id`, `email` or attribute as a value in a row rule. A user without it gets no rows. */
export function subject(name: string): SubjectValue {
  return { subject: name };
}

/** Where this deployment is served, from the environment. */
export interface Settings {
  /** `https://gatehouse.example.com`, without a path. */
  readonly origin: string;
  /** The URL that clients connect to and that every access token is bound to: origin + /mcp. */
  readonly resource: string;
}

/** Parses GATEHOUSE_URL. Throws `TypeError` with the setting, its value and the values that it takes. */
export function parseEnv(variables: { readonly GATEHOUSE_URL?: string }): Settings {
  const value = variables.GATEHOUSE_URL ?? "";
  const expected =
    "It takes the origin that clients connect to, such as https://gatehouse.example.com (http only on localhost).";
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined)
    throw new TypeError(`GATEHOUSE_URL is ${value === "" ? "not set" : JSON.stringify(value)}. ${expected}`);
  const isLoopback = isLoopbackHost(url.hostname);
  const isSecure = url.protocol === "https:" || (url.protocol === "http:" && isLoopback);
  if (!isSecure || (value !== url.origin && value !== `${url.origin}/`))
    throw new TypeError(`GATEHOUSE_URL is ${JSON.stringify(value)}. ${expected}`);
  return Object.freeze({ origin: url.origin, resource: `${url.origin}/mcp` });
}

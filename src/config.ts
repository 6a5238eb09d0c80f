// What an operator configures: the policy file through defineGatehouse(), and the environment through parseEnv(). Both
// are parsed once; everything behind them trusts the result.
import * as z from "zod";
import { isLoopbackHost } from "./lib/loopback.ts";
import { checkLimits, limitsSchema } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { checkPolicy } from "./policy/check.ts";
import type { Mask, Policy, SubjectValue } from "./policy/model.ts";
import { parseD1Source, policySchema } from "./policy/schema.ts";

export type { Limits } from "./limits.ts";

export interface Organisation {
  readonly name: string;
  /** Whom people ask for access: a name, an address or a page. */
  readonly contact: string;
}

/** Schemes that browsers open themselves, or that could run or read something there: none leads back to a program. */
const BROWSER_SCHEMES =
  /^(?:https?|wss?|ftp|javascript|vbscript|data|blob|file|filesystem|about|mailto|tel|sms|intent|view-source)$/;

/** The form of the policy file; `docs/configuration.md` explains every key, and a test compares the two. */
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
          "must be the scheme of a program in lower case and without a colon, such as cursor, and none of the web",
        ),
    )
    .default(["cursor", "claude"]),
  limits: limitsSchema.prefault({}),
  ...policySchema.shape,
});

export type GatehouseInput = z.input<typeof gatehouseSchema>;

/** A checked policy file. */
export interface Gatehouse {
  readonly organisation: Organisation;
  readonly allowedOrigins: readonly string[];
  readonly allowedRedirectSchemes: readonly string[];
  readonly limits: Limits;
  readonly policy: Policy;
}

/**
 * Checks a policy file. Throws `TypeError` with one line per problem: the path in the object, what is wrong and what
 * would be right.
 */
export function defineGatehouse(input: GatehouseInput): Gatehouse {
  const parsed = gatehouseSchema.safeParse(input);
  if (!parsed.success)
    throw invalid(parsed.error.issues.map((issue) => `${pathText(issue.path)}: ${issueText(issue)}`));
  const { organisation, allowedOrigins, allowedRedirectSchemes, limits, ...rest } = parsed.data;
  const { sources, roles, members, groups, attributes, queries } = rest;
  const { policy, problems } = checkPolicy({ sources, roles, members, groups, attributes, queries });
  const limitProblems = checkLimits(limits);
  if (problems.length + limitProblems.length > 0) throw invalid([...problems, ...limitProblems]);
  return { organisation, allowedOrigins, allowedRedirectSchemes, limits, policy };
}

/**
 * Reads a D1 source from data, as `npm run introspect` keeps it in a file. Throws `TypeError` with the file's path, what is wrong
 * and what would be right.
 */
export function readSource(file: string, data: unknown): GatehouseInput["sources"][string] {
  const parsed = parseD1Source(data);
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map((issue) => `${file}: ${pathText(issue.path)}: ${issueText(issue)}`));
}

/** The masks a rule can put on a column. */
export const mask = {
  /** Any type → `[redacted]`. */
  redact: { kind: "redact" },
  /** Any type → nothing, not even whether there is something. */
  null: { kind: "null" },
  /**
   * text, integer → a token such as `tok_k3v…`: equal values of a domain have equal tokens, in every source, so that they can
   * be joined and counted. Needs the secret GATEHOUSE_TOKEN_KEY.
   */
  token: (domain: string) => ({ kind: "token" as const, domain }),
  /** integer, real → the range it is in, as text: with 10, `20–<30`. */
  bucket: (size: number) => ({ kind: "bucket" as const, size }),
  /** integer, real → the nearest multiple of `step`. */
  round: (step: number) => ({ kind: "round" as const, step }),
  /** date, datetime → `2026-05`. */
  month: { kind: "month" },
  /** date, datetime → the year as a number. */
  year: { kind: "year" },
  /** text → `a…@harbor.example`. */
  email: { kind: "email" },
  /** text → `…` and the last `count` (1–12) characters, if the text is at least twice as long. */
  last: (count: number) => ({ kind: "last" as const, count }),
} as const satisfies Record<string, Mask | ((count: number) => Mask) | ((domain: string) => Mask)>;

/**
 * A row rule in SQL over the columns of its table, such as `total_cents > 1000 AND region = :region`: comparisons, AND, OR, NOT,
 * CASE and functions of one row. `:name` takes the signed-in person's `id`, `email` or attribute, as `subject` does.
 */
export function sql(expression: string): { readonly sql: string } {
  return { sql: expression };
}

/** In a row rule: the signed-in person's `id`, `email` or attribute of that name. Whoever lacks it gets no row. */
export function subject(name: string): SubjectValue {
  return { subject: name };
}

/** What the environment says about where this deployment is served. */
export interface Settings {
  /** `https://gatehouse.example.com`, without a path. */
  readonly origin: string;
  /** The URL that clients connect to and that every token is bound to: origin + /mcp. */
  readonly resource: string;
}

/** Parses the variable. How people sign in is auth/settings.ts. Throws `TypeError` naming the setting, what it got and what it takes. */
export function parseEnv(variables: { readonly GATEHOUSE_URL?: string }): Settings {
  const got = variables.GATEHOUSE_URL ?? "";
  const takes =
    "It takes the origin that people connect to, such as https://gatehouse.example.com (http only on localhost).";
  const url = URL.canParse(got) ? new URL(got) : undefined;
  if (url === undefined)
    throw new TypeError(`GATEHOUSE_URL is ${got === "" ? "not set" : JSON.stringify(got)}. ${takes}`);
  const isLoopback = isLoopbackHost(url.hostname);
  const isSecure = url.protocol === "https:" || (url.protocol === "http:" && isLoopback);
  if (!isSecure || (got !== url.origin && got !== `${url.origin}/`))
    throw new TypeError(`GATEHOUSE_URL is ${JSON.stringify(got)}. ${takes}`);
  return Object.freeze({ origin: url.origin, resource: `${url.origin}/mcp` });
}

function invalid(problems: readonly string[]): TypeError {
  return new TypeError(
    `The policy file has ${problems.length} problem(s):\n${problems.map((problem) => `- ${problem}`).join("\n")}`,
  );
}

function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "(the whole)";
  return path.reduce<string>(
    (text, part) => (typeof part === "number" ? `${text}[${part}]` : `${text}${text === "" ? "" : "."}${String(part)}`),
    "",
  );
}

/** The key of a record that is wrong tells why only one level down. */
function issueText(issue: z.core.$ZodIssue): string {
  return issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
}

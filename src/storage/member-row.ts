// A row of the members table, read as it stands: by hand or by an older version anything could have been written. What cannot be read
// gives nothing, and neither hides the rest of its row nor stops the reading of others.
import * as z from "zod";
import type { Attributes } from "../policy/model.ts";

export const MEMBER_COLUMNS = "email, roles, attributes, changed_by, changed_ms, version";

const rowSchema = z.object({
  email: z.string(),
  roles: z.string(),
  attributes: z.string(),
  changed_by: z.string(),
  changed_ms: z.number(),
  version: z.number(),
});

export interface ListedMember {
  readonly email: string;
  readonly roles: readonly { readonly role: string; readonly by: string; readonly atMs: number }[];
  readonly attributes: Attributes;
  readonly changedBy: string;
  readonly changedMs: number;
  readonly version: number;
  /** Roles and attributes that cannot be read, and so count for nothing: `the attribute region`. */
  readonly unreadable: readonly string[];
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const attributeSchema = z.union([scalar, z.array(scalar)]);
const givenSchema = z.object({ by: z.string(), atMs: z.number() });

/** Reads a row of `MEMBER_COLUMNS`. Throws when it is none, which only another table could be. */
export function readMemberRow(row: unknown): ListedMember {
  const { email, roles, attributes, changed_by: changedBy, changed_ms: changedMs, version } = rowSchema.parse(row);
  const given = readEntries(roles, givenSchema, "role");
  const values = readEntries(attributes, attributeSchema, "attribute");
  return {
    email,
    roles: given.entries.map(([role, { by, atMs }]) => ({ role, by, atMs })),
    attributes: Object.fromEntries(values.entries),
    changedBy,
    changedMs,
    version,
    unreadable: [...given.unreadable, ...values.unreadable],
  };
}

interface Entries<T> {
  readonly entries: readonly (readonly [string, T])[];
  readonly unreadable: readonly string[];
}

function readEntries<T>(text: string, schema: z.ZodType<T>, what: string): Entries<T> {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    return { entries: [], unreadable: [`the list of ${what}s`] };
  const entries: [string, T][] = [];
  const unreadable: string[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    const entry = schema.safeParse(value);
    if (entry.success) entries.push([name, entry.data]);
    else unreadable.push(`the ${what} ${name}`);
  }
  return { entries, unreadable };
}

// Parses a row of the members table, which an older version or an operator could have written with any content. What cannot be read
// gives no permissions, but the rest of the row and other rows are still read.
import * as z from "zod";
import type { Attributes } from "../policy/model.ts";

/** The columns that `readMemberRow` reads. */
export const MEMBER_COLUMNS = "email, roles, attributes, changed_by, changed_ms, version";

const rowSchema = z.object({
  email: z.string(),
  roles: z.string(),
  attributes: z.string(),
  changed_by: z.string(),
  changed_ms: z.number(),
  version: z.number(),
});

/** A member of the members table. */
export interface ListedMember {
  readonly email: string;
  readonly roles: readonly { readonly role: string; readonly by: string; readonly atMs: number }[];
  readonly attributes: Attributes;
  readonly changedBy: string;
  readonly changedMs: number;
  readonly version: number;
  /** Roles and attributes that cannot be read and give nothing, such as `the attribute region`. */
  readonly unreadable: readonly string[];
}

const scalarSchema = z.union([z.string(), z.number(), z.boolean()]);
const attributeSchema = z.union([scalarSchema, z.array(scalarSchema)]);
const roleGrantSchema = z.object({ by: z.string(), atMs: z.number() });

/** Parses a row of `MEMBER_COLUMNS`. Throws when a column is missing or has another type. */
export function readMemberRow(row: unknown): ListedMember {
  const { email, roles, attributes, changed_by: changedBy, changed_ms: changedMs, version } = rowSchema.parse(row);
  const roleEntries = readEntries(roles, roleGrantSchema, "role");
  const attributeEntries = readEntries(attributes, attributeSchema, "attribute");
  return {
    email,
    roles: roleEntries.entries.map(([role, { by, atMs }]) => ({ role, by, atMs })),
    attributes: Object.fromEntries(attributeEntries.entries),
    changedBy,
    changedMs,
    version,
    unreadable: [...roleEntries.unreadable, ...attributeEntries.unreadable],
  };
}

interface Entries<T> {
  readonly entries: readonly (readonly [string, T])[];
  readonly unreadable: readonly string[];
}

function readEntries<T>(text: string, schema: z.ZodType<T>, noun: string): Entries<T> {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    return { entries: [], unreadable: [`the list of ${noun}s`] };
  const entries: [string, T][] = [];
  const unreadable: string[] = [];
  for (const [name, value] of Object.entries(parsed)) {
    const entry = schema.safeParse(value);
    if (entry.success) entries.push([name, entry.data]);
    else unreadable.push(`the ${noun} ${name}`);
  }
  return { entries, unreadable };
}

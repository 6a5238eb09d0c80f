// Parses attributes of a user as an operator writes them on the command line, for the members table and for a question.
import * as z from "zod";
import { findAttributeProblems } from "../../src/policy/attributes.ts";
import { requireAttributes } from "../../src/policy/member-input.ts";
import type { Attributes, Policy } from "../../src/policy/model.ts";
import { usageError } from "../kit/cli-error.ts";

const attributeValue = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.union([z.string(), z.number(), z.boolean()])),
]);

/**
 * Parses `region=north`, `level=3` or `regions=["north","east"]`; `region=` removes the attribute. A value that reads as a number
 * becomes text where rules compare the attribute with text, as in `code=007`.
 */
export function parseAttribute(policy: Policy, text: string): [string, z.output<typeof attributeValue> | null] {
  const at = text.indexOf("=");
  if (at < 1) throw usageError(`${text} is not an attribute. Write name=value, or name= to remove the attribute.`);
  const [name, value] = [text.slice(0, at), text.slice(at + 1)];
  if (value === "") return [name, null];
  const parsed = attributeValue.safeParse(parseJson(value));
  if (!parsed.success) return [name, value];
  // A list stays a list: as text it would fit a rule that it was not meant for.
  const isText = typeof parsed.data !== "object" && !fits(policy, name, parsed.data) && fits(policy, name, value);
  return [name, isText ? value : parsed.data];
}

function fits(policy: Policy, name: string, value: z.output<typeof attributeValue>): boolean {
  return findAttributeProblems(policy, { [name]: value }).every(({ kind }) => kind !== "type");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: text may be written without quotes.
    return text;
  }
}

/** The attributes of a user with those that a question assumes; `name=` takes one away. Throws `CliError` for one that no rule can use. */
export function assumeAttributes(policy: Policy, held: Attributes, texts: readonly string[]): Attributes {
  const assumed = Object.fromEntries(texts.map((text) => parseAttribute(policy, text)));
  requireAttributes(policy, assumed);
  return Object.fromEntries(
    Object.entries({ ...held, ...assumed }).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  );
}

// Caches the JSON Schema of input schemas, because the conversion is most of the cost of tools/list.
import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import * as z from "zod";
import { suggestName } from "../../sql/suggest.ts";
import { convertArguments } from "./argument-conversion.ts";

/** The arguments of a schema that name something, such as a source or a dataset. */
export type NameArguments<Schema extends z.ZodObject> = readonly (keyof z.input<Schema> & string)[];

/** The JSON Schema dialect of tools/list. */
const DIALECT = { target: "draft-2020-12" } as const;

/**
 * Wraps a schema for the SDK: its JSON Schema is computed once, and arguments are converted before validation
 * (`argument-conversion.ts`). A message about an unknown argument lists the right ones, and `usage`, which says what belongs together.
 * Call it at module level.
 */
export function memoizeSchema<Schema extends z.ZodObject>(
  schema: Schema,
  names: NameArguments<Schema> = [],
  usage = "",
): StandardSchemaWithJSON<z.input<Schema>, z.output<Schema>> {
  const standard = schema["~standard"];
  let jsonSchema: Record<string, unknown> | undefined;
  const rules = {
    schema: () => (jsonSchema ??= omitDialect(standard.jsonSchema.input(DIALECT))),
    nameArguments: new Set<string>(names),
  };
  return {
    "~standard": {
      version: standard.version,
      vendor: standard.vendor,
      validate: async (value) => {
        const result = await standard.validate(convertArguments(value, rules));
        if (result.issues === undefined) return result;
        const explain = (keys: readonly string[]): string => describeUnknown(keys, Object.keys(schema.shape), usage);
        return { issues: result.issues.map((issue) => explainIssue(issue, explain)) };
      },
      jsonSchema: {
        input: (options) => (jsonSchema ??= omitDialect(standard.jsonSchema.input(options))),
        output: (options) => standard.jsonSchema.output(options),
      },
    },
  };
}

/** An issue of zod about unknown arguments. */
const unknownKeys = z.looseObject({ code: z.literal("unrecognized_keys"), keys: z.array(z.string()) });

function explainIssue<Issue extends { readonly message: string }>(
  issue: Issue,
  explain: (keys: readonly string[]) => string,
): Issue {
  const unknown = unknownKeys.safeParse(issue);
  return unknown.success ? { ...issue, message: `${issue.message}. ${explain(unknown.data.keys)}` } : issue;
}

function describeUnknown(keys: readonly string[], known: readonly string[], usage: string): string {
  const meant = [...new Set(keys.flatMap((key) => suggestName(key, known) ?? []))];
  const didYouMean = meant.length === 0 ? "" : `Did you mean ${meant.join(" and ")}? `;
  return `${didYouMean}The arguments are: ${known.join(", ")}. ${usage}`.trim();
}

/** Removes `$schema`, which costs context in every tool and adds no information. */
function omitDialect({ $schema: _dialect, ...schema }: Record<string, unknown>): Record<string, unknown> {
  return schema;
}

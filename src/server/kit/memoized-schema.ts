// Caches the JSON Schema of input schemas, because the conversion is most of the cost of tools/list.
import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";
import { convertArguments } from "./argument-conversion.ts";

/** The arguments of a schema that name something, such as a source or a dataset. */
export type NameArguments<Schema extends z.ZodObject> = readonly (keyof z.input<Schema> & string)[];

/** The JSON Schema dialect of tools/list. */
const DIALECT = { target: "draft-2020-12" } as const;

/**
 * Wraps a schema for the SDK: its JSON Schema is computed once, and arguments are converted before validation
 * (`argument-conversion.ts`). Call it at module level.
 */
export function memoizeSchema<Schema extends z.ZodObject>(
  schema: Schema,
  names: NameArguments<Schema> = [],
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
      validate: (value) => standard.validate(convertArguments(value, rules)),
      jsonSchema: {
        input: (options) => (jsonSchema ??= omitDialect(standard.jsonSchema.input(options))),
        output: (options) => standard.jsonSchema.output(options),
      },
    },
  };
}

/** Removes `$schema`, which costs context in every tool and adds no information. */
function omitDialect({ $schema: _dialect, ...schema }: Record<string, unknown>): Record<string, unknown> {
  return schema;
}

// Input schemas whose JSON Schema is worked out once: the conversion is most of what tools/list costs.
import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";
import { convertArguments } from "./arguments.ts";

/** The arguments of a schema that name something, such as a source or a dataset. */
export type NameArguments<Schema extends z.ZodObject> = readonly (keyof z.input<Schema> & string)[];

/** What tools/list is written in. */
const DIALECT = { target: "draft-2020-12" } as const;

/**
 * The same schema for the SDK, with its JSON Schema kept after the first time, and with arguments converted before they are
 * validated (`arguments.ts`). Call it at module level.
 */
export function memoised<Schema extends z.ZodObject>(
  schema: Schema,
  names: NameArguments<Schema> = [],
): StandardSchemaWithJSON<z.input<Schema>, z.output<Schema>> {
  const standard = schema["~standard"];
  let json: Record<string, unknown> | undefined;
  const rules = {
    schema: () => (json ??= withoutDialect(standard.jsonSchema.input(DIALECT))),
    names: new Set<string>(names),
  };
  return {
    "~standard": {
      version: standard.version,
      vendor: standard.vendor,
      validate: (value) => standard.validate(convertArguments(value, rules)),
      jsonSchema: {
        input: (options) => (json ??= withoutDialect(standard.jsonSchema.input(options))),
        output: (options) => standard.jsonSchema.output(options),
      },
    },
  };
}

/** `$schema` costs tokens in every tool and tells clients nothing new. */
function withoutDialect({ $schema: _dialect, ...schema }: Record<string, unknown>): Record<string, unknown> {
  return schema;
}

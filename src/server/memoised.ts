// Input schemas whose JSON Schema is worked out once: the conversion is most of what tools/list costs.
import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type * as z from "zod";

/** The same schema for the SDK, with its JSON Schema kept after the first time. Call it at module level. */
export function memoised<Schema extends z.ZodObject>(
  schema: Schema,
): StandardSchemaWithJSON<z.input<Schema>, z.output<Schema>> {
  const standard = schema["~standard"];
  let json: Record<string, unknown> | undefined;
  return {
    "~standard": {
      version: standard.version,
      vendor: standard.vendor,
      validate: (value) => standard.validate(value),
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

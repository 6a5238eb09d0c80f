// Stands in for the SDK's JSON Schema validator (`alias` in wrangler.jsonc), which would be 6 KiB of the compressed Worker. The SDK uses it
// only in `elicitInput` and `fromJsonSchema`, which Gatehouse does not call: it asks questions through elicitation/input-required.ts.
import type { jsonSchemaValidator } from "@modelcontextprotocol/server";

/** The validator that the SDK creates by default. It accepts nothing: the call fails. */
export class DefaultJsonSchemaValidator implements jsonSchemaValidator {
  getValidator(): never {
    throw new TypeError(
      "The Worker has no JSON Schema validator. Pass one to the server, or remove the alias in wrangler.jsonc.",
    );
  }
}

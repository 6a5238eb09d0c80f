// Reads an email address that an operator typed as an argument.
import { parseEmailAddress } from "../../src/lib/email-address.ts";
import type { EmailAddress } from "../../src/lib/email-address.ts";
import { describeInvalidAddress } from "../../src/policy/member-input.ts";
import { usageError } from "./cli-error.ts";

/** Parses an address to its normalized form. Throws the error for wrong usage, with the form of an address. */
export function parseEmailArgument(text: string): EmailAddress {
  const address = parseEmailAddress(text);
  if (address === undefined) throw usageError(describeInvalidAddress(text));
  return address;
}

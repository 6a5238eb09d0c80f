// The part of the policy file that says when the log has a signal.
import * as z from "zod";

/** The schema of `signals`. docs/configuration.md explains each key. */
export const signalsSchema = z.strictObject({
  /** Whether the first use of a dataset by a user is logged. */
  firstUse: z.boolean().default(true),
  /** How many times the median of a user's other days a day's rows must exceed; 0 turns the signal off. */
  rowsFactor: z.number().min(0).max(1000).default(5),
  /** On how many earlier days the user must have received rows. */
  minDays: z.int().min(1).max(30).default(5),
  /** Days with fewer rows are never unusual. */
  minRows: z.int().min(1).default(1000),
  /** How many denials in a row are logged; 0 turns the signal off. */
  denials: z.int().min(0).default(20),
  /** Whether signs of an attack are logged. */
  attackSigns: z.boolean().default(true),
});

/** When the log has a signal. */
export type SignalSettings = Readonly<z.output<typeof signalsSchema>>;

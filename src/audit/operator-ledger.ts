// The name of the ledger for operators' commands.

/** The name of the ledger that records operators' commands. No subject id is like it: those are hexadecimal digits. */
export const OPERATOR_LEDGER = "operator";

// For whoever knows that documents may have changed: `npm start` does so before it serves.

/** Makes every source's next sweep due now. */
export const SWEEPS_DUE_SQL = "UPDATE document_source SET due_ms = 0";

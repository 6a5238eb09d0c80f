// Marks the document index as outdated. `npm start` runs this before it serves, because documents may have changed meanwhile.

/** Makes the next reindex pass of every source due now. */
export const REINDEX_DUE_SQL = "UPDATE document_source SET due_ms = 0";

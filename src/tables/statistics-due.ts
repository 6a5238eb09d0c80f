// Marks the statistics of every source as outdated. `npm start` runs this before it serves, because data may have been loaded meanwhile.

/** Makes the next run of the upkeep look at the tables of every D1 source, even if it has done so within a day. */
export const STATISTICS_DUE_SQL = "UPDATE source_statistics SET checked_ms = 0, analyzed_ms = 0";

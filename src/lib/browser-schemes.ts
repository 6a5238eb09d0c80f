// URI schemes that belong to browsers, where redirect URIs lead back to programs.

/** Schemes that browsers open themselves, or that could run or read something there: none leads back to a program. */
export const BROWSER_SCHEMES =
  /^(?:https?|wss?|ftp|javascript|vbscript|data|blob|file|filesystem|about|mailto|tel|sms|intent|view-source)$/;

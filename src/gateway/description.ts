// Descriptions of sources, tables and columns, which a policy file may leave out.

/** Picks the description for an answer; nothing if there is none. */
export function pickDescription({ description }: { readonly description: string }): { readonly description?: string } {
  return description === "" ? {} : { description };
}

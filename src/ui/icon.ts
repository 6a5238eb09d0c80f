// The icon that browsers show beside the title of a page: the gate of the page header on a dark square.

/** The icon as an SVG document. */
export const ICON_SVG = [
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 -4 32 32"><rect x="-4" y="-4" width="32" height="32" rx="7" fill="#17324d"/>',
  '<path d="M3 21V8.5L12 3l9 5.5V21M8 21v-7a4 4 0 0 1 8 0v7M12 10v11M1.5 21h21" fill="none" stroke="#fff" stroke-width="2" ',
  'stroke-linecap="round"/></svg>',
].join("");

/** The icon as an address that loads nothing. */
export const ICON_URL = `data:image/svg+xml,${encodeURIComponent(ICON_SVG)}`;

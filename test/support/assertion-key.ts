// The key pair of test clients that authenticate with a signed assertion. It is used nowhere else.
export const PUBLIC_KEY = {
  kty: "EC",
  crv: "P-256",
  kid: "test",
  x: "JJ5e658pmsTYDG_WLoqmy6YN6gvHDw_L14XeIecCWuU",
  y: "lxRhkZ9gEn_FHq-rgf7zw_ulviiMARMpWIOwTwLv-pM",
} as const;

export const PRIVATE_KEY = { ...PUBLIC_KEY, d: "STbaqq4BsdFYBiup96x3tDIitD7_S1nIVD-scgr1yHg" } as const;

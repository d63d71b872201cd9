// Addresses of this server: below a portal's path, where a proxy serves it so.

const root = document.querySelector('meta[name="likeness-root"]')?.content ?? "";

/** An address that begins with "/", where this page's server has it. */
export const at = (address) => root + address;

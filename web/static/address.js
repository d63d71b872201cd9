// Addresses of this server: below a portal's path, where a proxy serves it so.

const root = document.querySelector('meta[name="likeness-root"]')?.content ?? "";

/** An address that begins with "/", where this page's server has it. */
export const at = (address) => root + address;

/**
 * Has every request of this page to an address go through `handle(send, options)`, Gradio's own
 * included; `send(options)` sends it.
 */
export function through(route, handle) {
  const asked = window.fetch;
  window.fetch = (address, options) => {
    const send = (changed) => asked.call(window, address, changed);
    const path = new URL(address?.url ?? address, location.href).pathname;
    return path === route ? handle(send, options) : send(options);
  };
}

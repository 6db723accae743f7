/**
 * Keeps the Controller from taking our text for a template.
 *
 * It renders every string in the body of its templated routes with LiquidJS (seen on Controller 3.0.4), and
 * stores the text of a rendering error as the value with a 2xx. Here an opening brace that would start an expression
 * is replaced by one that prints a brace. Unlike a raw block this also holds for text that contains `endraw`.
 */

/** A copy of `body` in which every string renders to what it was, e.g. `{{ x }}` becomes `{{ "{" }}{ x }}`. */
export function escapeLiquid(body: unknown): unknown {
  if (typeof body === "string") return body.replace(/\{(?=[{%])/g, '{{ "{" }}');
  if (Array.isArray(body)) return body.map(escapeLiquid);
  if (typeof body !== "object" || body === null) return body;
  // The Controller renders values only, never keys.
  return Object.fromEntries(Object.entries(body).map(([key, value]) => [key, escapeLiquid(value)]));
}

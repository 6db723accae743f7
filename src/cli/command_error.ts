/** A command cannot do what it was asked for; the message is one line that says why and what to do. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

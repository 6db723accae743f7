/** For `deno run --preload`: the wall clock of this process is five minutes ahead. */

const now = Date.now;
Date.now = () => now() + 5 * 60_000;

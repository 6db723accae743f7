/** IP addresses among names. */

/** Whether `name` is an IPv4 or IPv6 address. */
export function isIpAddress(name: string): boolean {
  return canonicalIp(name) !== undefined;
}

/** As text that is the same for the same address; undefined for what is none. */
export function canonicalIp(name: string): string | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(name)) {
    return name.split(".").every((part) => Number(part) <= 255) ? name : undefined;
  }
  if (!/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(name)) return undefined;
  return URL.canParse(`http://[${name}]`) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : undefined;
}

/** Where a server listens, and which of two places exclude each other, as the kernel judges it. */
import { isIPv4, isIPv6 } from 'node:net';

/** A path, a descriptor, or an address with a port. */
export interface Place {
  /** Numeric; undefined: every address, or no TCP at all. */
  readonly address?: string;
  /** 0: any that is free. −1: no TCP. */
  readonly port: number;
  /** `::` without the addresses of IPv4. */
  readonly isOnlyV6: boolean;
  readonly path?: string;
  readonly fd?: number;
}

const ANY_V4 = '0.0.0.0';
export const ANY_V6 = '::';

/** UV_TCP_IPV6ONLY. */
const FLAG_ONLY_V6 = 1;

/** What net.Server's _listen2() is called with. */
export function placeOf(
  address: string | null | undefined,
  port: number | null | undefined,
  fd: number | undefined,
  flags: number | undefined,
): Place {
  const isOnlyV6 = ((flags ?? 0) & FLAG_ONLY_V6) !== 0;
  if (fd !== undefined) return { port: -1, isOnlyV6, fd };
  if (typeof port !== 'number' || port < 0) {
    return { port: -1, isOnlyV6, ...(typeof address === 'string' && { path: address }) };
  }
  return { port, isOnlyV6, ...(typeof address === 'string' && address !== '' && { address }) };
}

/** For messages. */
export function describePlace({ address, port, path, fd }: Place): string {
  if (path !== undefined) return path;
  if (fd !== undefined) return `fd ${String(fd)}`;
  if (port < 0) return 'a handle';
  return `${address ?? '*'}:${String(port)}`;
}

function covers(wide: Place, narrow: Place): boolean {
  const { address: all = ANY_V6 } = wide;
  const { address: one = ANY_V6 } = narrow;
  if (all === ANY_V6) return isIPv6(one) || !wide.isOnlyV6;
  return all === ANY_V4 && (isIPv4(one) || (one === ANY_V6 && !narrow.isOnlyV6));
}

/** @returns whether the second of two servers that listen there gets EADDRINUSE. */
export function isSamePlace(a: Place, b: Place): boolean {
  if (a.path !== undefined || b.path !== undefined) return a.path === b.path;
  if (a.port <= 0 || a.port !== b.port) return false;
  return a.address === b.address || covers(a, b) || covers(b, a);
}

/** Streams that wait for /api/release. */
export const waiting = new Set<() => void>();

/** Streams that wait for /release. */
export const waiting = (globalThis.waiting ??= new Set());

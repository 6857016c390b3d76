/** Streams that wait for /release. */
export const waiting = new Set();

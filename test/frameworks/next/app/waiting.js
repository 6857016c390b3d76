/** Streams that wait for /release; pages and routes are built apart and share only globals. */
export const waiting = (globalThis.waiting ??= new Set());

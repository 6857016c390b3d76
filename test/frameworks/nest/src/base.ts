/** Where it is mounted, if not at the root. */
export const base = process.env['BASE_PATH'] ?? '';

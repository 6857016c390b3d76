// Imported before anything else, by a Node that may be too old for the rest: old syntax only.

/** Ends the process with one sentence unless this Node is new enough. */
export function requireNode() {
  const parts = process.versions.node.split('.').map(Number);
  if (parts[0] > 20 || (parts[0] === 20 && parts[1] >= 19)) return;
  console.error(
    'mod_tsgi needs Node.js 20.19 or newer, this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').',
  );
  process.exit(1);
}

// Loaded through the hooks of observer.mjs.
const word = 'as it is';
export default function app(req, res) {
  res.end(JSON.stringify({ word, main: import.meta.main ?? null, preloaded: globalThis.preloaded }));
}

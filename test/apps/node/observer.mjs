// As packages do that are named by --import: registers hooks for ES modules, in a thread of theirs.
import { register } from 'node:module';

globalThis.preloaded = [...(globalThis.preloaded ?? []), 'import'];
register(
  `data:text/javascript,${encodeURIComponent(`
    export async function load(url, context, next) {
      const loaded = await next(url, context);
      if (!url.endsWith('/hooked.mjs')) return loaded;
      return { ...loaded, source: String(loaded.source).replace('as it is', 'as it was hooked') };
    }`)}`,
);

// Tells what an entry can know of itself; ES module with top-level await and a named export.
import { readFile } from 'node:fs/promises';
const own = await readFile(new URL(import.meta.url), 'utf8');
export const application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  return JSON.stringify({
    argv: process.argv,
    url: import.meta.url,
    main: import.meta.main ?? null,
    dirname: import.meta.dirname,
    ownLength: own.length,
  });
};

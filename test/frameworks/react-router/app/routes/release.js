import { waiting } from '../waiting.server.js';

export function loader() {
  for (const go of waiting) go();
  waiting.clear();
  return new Response('released');
}

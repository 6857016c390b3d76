import { waiting } from '../lib/waiting.js';

export function GET() {
  for (const go of waiting) go();
  waiting.clear();
  return new Response('released');
}

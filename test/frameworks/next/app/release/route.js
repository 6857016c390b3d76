import { waiting } from '../waiting';

export const dynamic = 'force-dynamic';

export function GET() {
  for (const go of waiting) go();
  waiting.clear();
  return new Response('released');
}

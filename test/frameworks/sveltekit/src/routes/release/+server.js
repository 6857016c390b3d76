import { text } from '@sveltejs/kit';
import { waiting } from '../../lib/waiting.js';

export function GET() {
  for (const go of waiting) go();
  waiting.clear();
  return text('released');
}

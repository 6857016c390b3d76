import { createHash } from 'node:crypto';
import { json } from '@sveltejs/kit';

export async function POST({ request }) {
  const file = (await request.formData()).get('file');
  const bytes = Buffer.from(await file.arrayBuffer());
  return json({ sha256: createHash('sha256').update(bytes).digest('hex') });
}

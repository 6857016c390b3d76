import { createHash } from 'node:crypto';

export default defineEventHandler(async (event) => {
  const parts = await readMultipartFormData(event);
  const file = parts?.find(({ name }) => name === 'file');
  return { sha256: createHash('sha256').update(file!.data).digest('hex') };
});

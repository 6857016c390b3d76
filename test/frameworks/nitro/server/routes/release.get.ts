export default defineEventHandler(() => {
  for (const go of waiting) go();
  waiting.clear();
  return 'released';
});

export default defineEventHandler(async (event) => {
  const stream = createEventStream(event);
  void stream.push('first part');
  waiting.add(() => {
    void stream.push('last part').then(() => stream.close());
  });
  return stream.send();
});

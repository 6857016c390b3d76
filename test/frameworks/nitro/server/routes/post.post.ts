export default defineEventHandler(async (event) => {
  const { name } = await readBody(event);
  setResponseStatus(event, 201);
  return `Hello, ${name}`;
});

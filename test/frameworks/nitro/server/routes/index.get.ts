export default defineEventHandler((event) => {
  setResponseHeader(event, 'Content-Type', 'text/html; charset=utf-8');
  const base = useRuntimeConfig(event).app.baseURL.replace(/\/$/, '');
  return `<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from Nitro</h1>
<form method="post" action="${base}/post"><input name="name"></form>`;
});

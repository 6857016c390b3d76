export default defineEventHandler((event) => {
  setResponseHeader(event, 'Content-Type', 'text/html; charset=utf-8');
  return `<!doctype html>
<link rel="stylesheet" href="/style.css">
<h1>Hello from Nitro</h1>
<form method="post" action="/post"><input name="name"></form>`;
});

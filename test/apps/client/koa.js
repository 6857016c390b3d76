'use strict';
const Koa = require('koa');

const app = new Koa();
app.use((context) => {
  if (context.path === '/cookie') context.cookies.set('own', 'alice', { secure: true });
  const { protocol, secure, ip, hostname } = context;
  context.body = { protocol, secure, ip, hostname, href: context.href };
});
app.listen(3000);

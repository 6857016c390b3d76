const Koa = require('koa');
const app = new Koa();
app.use((ctx) => (ctx.body = 'koa'));
app.listen(process.env.PORT, () => console.log('ready'));

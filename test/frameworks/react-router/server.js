import { createRequestHandler } from '@react-router/express';
import express from 'express';

const base = process.env.BASE_PATH ?? '';
const app = express();
app.disable('x-powered-by');
app.use(`${base}/assets`, express.static('build/client/assets', { immutable: true, maxAge: '1y' }));
app.use(`${base}/`, express.static('build/client', { maxAge: '1h' }));
app.use(createRequestHandler({ build: () => import('./build/server/index.js') }));

app.listen(Number(process.env.PORT ?? 3000), () => {
  console.log('Server is running');
});

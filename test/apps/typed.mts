// An ES module TypeScript entry.
import { createServer } from 'node:http';
const answer: string = await Promise.resolve('mts');
createServer((_req, res) => { res.end(answer); }).listen(3000);

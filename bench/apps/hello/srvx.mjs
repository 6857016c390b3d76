// The fetch handler on node:http, by the package that mod_tsgi uses too.
import { createServer } from 'node:http';
import { toNodeHandler } from 'srvx/node';
import listen from '../listen.js';
import app from './fetch.mjs';
listen(createServer(toNodeHandler(app.fetch)));

// `react-router-serve ./build/server/index.js`, as a file.
process.argv[2] = './build/server/index.js';
await import('./node_modules/@react-router/serve/bin.js');

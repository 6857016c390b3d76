/** @type {import('next').NextConfig} */
export default {
  output: 'standalone',
  // Where it is mounted, if not at the root.
  basePath: process.env.BASE_PATH,
  redirects: () => [{ source: '/old', destination: '/', permanent: false }],
  // This directory is the whole project, whatever lies above it.
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
};

export default {
  ssr: true,
  // Where it is mounted, if not at the root.
  basename: process.env.BASE_PATH ?? '/',
};

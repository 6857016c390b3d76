import identity from './identity.js';

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname.endsWith('/block')) {
      identity.block(Number(searchParams.get('ms')));
      return new Response();
    }
    return new Response(await identity.finish(identity.begin(searchParams.get('user'))));
  },
};

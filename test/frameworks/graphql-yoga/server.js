// Queries by POST, uploads by multipart, subscriptions as an event stream or over a WebSocket.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { createSchema, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';

/** Subscriptions that wait for release. */
const waiting = new Set();

const schema = createSchema({
  typeDefs: /* GraphQL */ `
    scalar File
    type Query {
      hello(name: String!): String!
      release: String!
    }
    type Mutation {
      upload(file: File!): String!
    }
    type Subscription {
      ticks: String!
    }
  `,
  resolvers: {
    Query: {
      hello: (_, { name }) => `Hello, ${name}`,
      release: () => {
        for (const go of waiting) go();
        waiting.clear();
        return 'released';
      },
    },
    Mutation: {
      upload: async (_, { file }) => {
        const bytes = Buffer.from(await file.arrayBuffer());
        return createHash('sha256').update(bytes).digest('hex');
      },
    },
    Subscription: {
      ticks: {
        subscribe: async function* () {
          yield { ticks: 'first part' };
          await new Promise((go) => waiting.add(go));
          yield { ticks: 'last part' };
        },
      },
    },
  },
});

const yoga = createYoga({
  schema,
  // Where it is mounted, if not at the root.
  graphqlEndpoint: `${process.env.BASE_PATH ?? ''}/graphql`,
  graphiql: { subscriptionsProtocol: 'WS' },
});
const server = createServer(yoga);
useServer({ schema }, new WebSocketServer({ server, path: yoga.graphqlEndpoint }));

server.listen(process.env.PORT ?? 4000, () => {
  console.info('Server is running');
});

import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';

const server = new ApolloServer({
  typeDefs: `#graphql
    type Query {
      hello(name: String!): String!
    }
  `,
  resolvers: { Query: { hello: (_, { name }) => `Hello, ${name}` } },
});

const { url } = await startStandaloneServer(server, {
  listen: { port: Number(process.env.PORT ?? 4000) },
});
console.log(`Server ready at: ${url}`);

import 'reflect-metadata';
import path from 'node:path';
import multipart from '@fastify/multipart';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { AppModule } from './app.module.js';
import { base } from './base.js';
import { FastifyUploadController } from './upload.fastify.js';

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(FastifyUploadController),
    new FastifyAdapter({ routerOptions: { ignoreTrailingSlash: true } }),
  );
  await app.register(multipart, { limits: { fileSize: 16 * 1024 * 1024 } });
  app.setGlobalPrefix(base);
  app.useStaticAssets({
    root: path.join(import.meta.dirname, '..', 'public'),
    prefix: `${base}/`,
  });
  app.useWebSocketAdapter(new WsAdapter(app));
  await app.listen(process.env['PORT'] ?? 3000);
}

void bootstrap();

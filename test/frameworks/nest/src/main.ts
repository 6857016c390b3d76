import 'reflect-metadata';
import path from 'node:path';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { WsAdapter } from '@nestjs/platform-ws';
import { AppModule } from './app.module.js';
import { base } from './base.js';
import { ExpressUploadController } from './upload.express.js';

async function bootstrap(): Promise<void> {
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.with(ExpressUploadController),
  );
  app.setGlobalPrefix(base);
  app.useStaticAssets(path.join(import.meta.dirname, '..', 'public'), { prefix: `${base}/` });
  app.useWebSocketAdapter(new WsAdapter(app));
  await app.listen(process.env['PORT'] ?? 3000);
}

void bootstrap();

import { createHash } from 'node:crypto';
import type {} from '@fastify/multipart';
import { Controller, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

@Controller()
export class FastifyUploadController {
  @Post('upload')
  async upload(@Req() request: FastifyRequest): Promise<{ sha256: string }> {
    const file = await request.file();
    const hash = createHash('sha256');
    for await (const chunk of file!.file) hash.update(chunk as Buffer);
    return { sha256: hash.digest('hex') };
  }
}

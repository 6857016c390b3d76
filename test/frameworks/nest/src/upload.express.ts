import { createHash } from 'node:crypto';
import { Controller, Post, UploadedFile, UseInterceptors } from '@nestjs/common';
import { FileInterceptor } from '@nestjs/platform-express';

@Controller()
export class ExpressUploadController {
  @Post('upload')
  @UseInterceptors(FileInterceptor('file'))
  upload(@UploadedFile() file: Express.Multer.File): { sha256: string } {
    return { sha256: createHash('sha256').update(file.buffer).digest('hex') };
  }
}

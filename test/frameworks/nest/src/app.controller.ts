import { Body, Controller, Get, Header, Post, Redirect, Sse } from '@nestjs/common';
import { concat, map, of, take, type Observable } from 'rxjs';
import { base } from './base.js';
import { GreeterService } from './greeter.service.js';
import { StreamsService } from './streams.service.js';

@Controller()
export class AppController {
  constructor(
    private readonly greeter: GreeterService,
    private readonly streams: StreamsService,
  ) {}

  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  page(): string {
    return `<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from NestJS</h1>
<form method="post" action="${base}/post"><input name="name"></form>`;
  }

  @Get('old')
  @Redirect(`${base}/`)
  old(): void {}

  @Post('post')
  post(@Body() { name }: { name: string }): string {
    return this.greeter.greet(name);
  }

  @Sse('stream')
  stream(): Observable<{ data: string }> {
    return concat(
      of({ data: 'first part' }),
      this.streams.released.pipe(
        take(1),
        map(() => ({ data: 'last part' })),
      ),
    );
  }

  @Get('release')
  release(): string {
    this.streams.released.next();
    return 'released';
  }
}

import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { EchoGateway } from './echo.gateway.js';
import { GreeterService } from './greeter.service.js';
import { StreamsService } from './streams.service.js';

@Module({})
export class AppModule {
  static with(upload: Type): DynamicModule {
    return {
      module: AppModule,
      controllers: [AppController, upload],
      providers: [GreeterService, StreamsService, EchoGateway],
    };
  }
}

import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { base } from './base.js';

@WebSocketGateway({ path: `${base}/ws` })
export class EchoGateway {
  @SubscribeMessage('echo')
  echo(@MessageBody() data: string): { event: string; data: string } {
    return { event: 'echo', data };
  }
}

import { Injectable } from '@nestjs/common';
import { Subject } from 'rxjs';

/** What streams wait for. */
@Injectable()
export class StreamsService {
  readonly released = new Subject<void>();
}

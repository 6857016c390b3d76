/**
 * What a channel hands over, in numbers: kinds of events, the layout of one, flags of a request.
 * Apart from native.ts so that code which only reads events runs where the addon is not built.
 */

/** Kinds of events that `Channel` hands over, in `events[i]`. */
export const EVENT_REQUEST = 1;
/** A piece of a request body; payload is a Buffer that JavaScript owns. */
export const EVENT_BODY = 2;
/** The request body is complete; payload is the trailers as `Name: value\r\n…` (latin1) or ''. */
export const EVENT_BODY_END = 3;
/** The client or Apache went away before the exchange was over. The id is dead from now on. */
export const EVENT_CLOSE = 4;
/** What was written for this exchange is below the low-water mark again. */
export const EVENT_DRAIN = 5;
/** The response has been handed to the kernel whole, and the exchange is over. The id is dead from now on. */
export const EVENT_FINISH = 6;
/**
 * Answers requestSocket(): the client's own descriptor, which is the receiver's from now on, stands
 * behind the four ints that every event begins with; payload is a Buffer of what came of it already.
 */
export const EVENT_SOCKET = 7;
export const SOCKET_FD = 4;

/**
 * Layout of one event in `Channel.events`, an Int32Array. Each event begins with
 * [kind, id, payloadIndex (−1: none), total ints of this event]; a REQUEST goes on with these fields (absolute offsets from
 * the event's start), then REQ_HEADERS × 5 ints per header and REQ_VARS × 4 ints per variable.
 * The payload of a REQUEST is one latin1 string, the whole head; every string is [offset, length] in it.
 */
export const REQ_FLAGS = 4; // bits as TSGI_R_* in tsgi_wire.h
export const REQ_CONTENT_LENGTH_LOW = 5; // unsigned; with HIGH −1 / −1 = unknown
export const REQ_CONTENT_LENGTH_HIGH = 6;
export const REQ_MOUNT_LENGTH = 7;
export const REQ_TIMEOUT_MS = 8;
export const REQ_REMOTE_PORT = 9;
export const REQ_LOCAL_PORT = 10;
export const REQ_SERVER_PORT = 11;
export const REQ_HTTP_MAJOR = 12;
export const REQ_HTTP_MINOR = 13;
export const REQ_HEADERS = 14; // number of headers
export const REQ_VARS = 15; // number of variables
/** 16 strings [offset, length] in the order of TSGI_S_* in tsgi_wire.h. */
export const REQ_STRINGS = 16;
/** First header: [token, nameOffset, nameLength, valueOffset, valueLength] each; token 0 = read the name. */
export const REQ_FIELDS = REQ_STRINGS + 32;
/** Then the variables: [nameOffset, nameLength, valueOffset, valueLength] each. */

export const FLAG_TLS = 0x01;
export const FLAG_BODY = 0x02;
export const FLAG_CHUNKED = 0x04;
export const FLAG_EXPECT = 0x08;
export const FLAG_STARTED = 0x10;
export const FLAG_UPGRADE = 0x20;
export const FLAG_PASS = 0x40;
/** Not of the wire: the addon has found nothing but ASCII in the head's strings and variables. */
export const FLAG_ASCII = 0x4000_0000;

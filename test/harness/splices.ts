/**
 * An Apache whose splice() is watched, and refused on demand, by a library that stands before the C
 * library's: its workers and supervisors do not have it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIBRARY = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static char *of(const char *name, char *path) {
    snprintf(path, 4096, "%s/%s", getenv("TSGI_TEST_SPLICES"), name);
    return path;
}
static int is(const char *name) {
    char path[4096];
    return access(of(name, path), F_OK) == 0;
}
ssize_t splice(int in, off64_t *in_at, int out, off64_t *out_at, size_t n, unsigned flags) {
    struct stat s;
    const int is_in = fstat(out, &s) == 0 && S_ISFIFO(s.st_mode);
    if (is(is_in ? "refuse-in" : "refuse-out")) { errno = EINVAL; return -1; }
    if (!is_in && n > 5000 && is("little-out")) n = 5000;
    const ssize_t moved = syscall(SYS_splice, in, in_at, out, out_at, n, flags);
    if (moved > 0) {
        char path[4096];
        const int fd = open(of(is_in ? "in" : "out", path), O_WRONLY | O_APPEND | O_CREAT, 0666);
        dprintf(fd, "%zd\\n", moved);
        close(fd);
    }
    return moved;
}
int pipe2(int *ends, int flags) {
    if (is("refuse-pipe")) { errno = EMFILE; return -1; }
    return (int)syscall(SYS_pipe2, ends, flags);
}
`;

export type Fault = 'refuse-in' | 'refuse-out' | 'refuse-pipe' | 'little-out';

export class Splices {
  readonly #dir = mkdtempSync(join(tmpdir(), 'tsgi-test-'));
  /** For Httpd's options. */
  readonly environment: Readonly<Record<string, string>>;

  constructor() {
    chmodSync(this.#dir, 0o777); // Apache runs as another user
    const library = join(this.#dir, 'splices.so');
    writeFileSync(`${library}.c`, LIBRARY);
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, `${library}.c`]);
    const sanitizer = process.env['TSGI_TEST_SANITIZER'];
    this.environment = {
      // The sanitizers' library must be the first.
      LD_PRELOAD: sanitizer === undefined ? library : `${sanitizer}:${library}`,
      TSGI_TEST_SPLICES: this.#dir,
    };
  }

  /** Bytes that went into pipes, or out of them, since forget(). */
  bytes(way: 'in' | 'out'): number {
    try {
      const lines = readFileSync(join(this.#dir, way), 'utf8').trim().split('\n');
      return lines.map(Number).reduce((sum, n) => sum + n, 0);
    } catch {
      return 0; // There is no file: none did.
    }
  }

  forget(): void {
    for (const way of ['in', 'out']) rmSync(join(this.#dir, way), { force: true });
  }

  /** While something is done, Apache's calls fail so. */
  async during<T>(fault: Fault, act: () => Promise<T>): Promise<T> {
    writeFileSync(join(this.#dir, fault), '');
    try {
      return await act();
    } finally {
      rmSync(join(this.#dir, fault));
    }
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }
}

/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_title.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Numbers of fields in /proc/<pid>/stat, see proc(5): where the command line lies in memory. */
#define FIELD_ARG_START 48
#define FIELD_ARG_END 49

static int stat_read(char *buffer, size_t size)
{
    ssize_t n;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    n = read(fd, buffer, size - 1);
    close(fd);
    if (n <= 0) {
        return -1;
    }
    buffer[n] = '\0';
    return 0;
}

/* Field 2, the name, is in parentheses and may hold anything; field 3 comes after the last one. */
static uintptr_t stat_field(const char *text, int field)
{
    const char *at = strrchr(text, ')');
    for (int i = 2; at != NULL && i < field; i++) {
        at = strchr(at + 1, ' ');
    }
    return at == NULL ? 0 : (uintptr_t)strtoull(at + 1, NULL, 10);
}

void tsgi_title_set(const char *title)
{
    char text[1024];
    uintptr_t start;
    uintptr_t end;
    size_t length = strlen(title);

    (void)prctl(PR_SET_NAME, title, 0, 0, 0);
    if (stat_read(text, sizeof(text)) != 0) {
        return;
    }
    start = stat_field(text, FIELD_ARG_START);
    end = stat_field(text, FIELD_ARG_END);
    if (start == 0 || end <= start) {
        return;
    }
    if (length > end - start - 1) {
        length = end - start - 1;
    }
    memset((void *)start, 0, end - start);
    memcpy((void *)start, title, length);
}

/*
 * Runs the fuzz target once over every file of the given directories, without libFuzzer.
 * `npm test` replays the seed corpus with it, on compilers that have no libFuzzer too.
 * Fails when a file cannot be read and when there is none: an empty corpus proves nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    struct stat st;
    uint8_t *data;
    size_t got;
    FILE *file = fopen(path, "rb");

    if (file == NULL || fstat(fileno(file), &st) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (file != NULL) {
            fclose(file);
        }
        return 1;
    }
    /* malloc of the exact size lets AddressSanitizer see a read of one byte too many. */
    data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
    if (data == NULL) {
        fprintf(stderr, "%s: out of memory\n", path);
        fclose(file);
        return 1;
    }
    got = fread(data, 1, (size_t)st.st_size, file);
    fclose(file);
    if (got != (size_t)st.st_size) {
        fprintf(stderr, "%s: short read\n", path);
        free(data);
        return 1;
    }
    LLVMFuzzerTestOneInput(data, got);
    free(data);
    return 0;
}

static int replay_directory(const char *directory, size_t *count)
{
    char path[4096];
    struct dirent *entry;
    int failed = 0;
    DIR *dir = opendir(directory);

    if (dir == NULL) {
        fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        int length;

        if (entry->d_name[0] == '.') {
            continue;
        }
        length = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof(path)) {
            fprintf(stderr, "%s/%s: the path is too long\n", directory, entry->d_name);
            failed = 1;
            continue;
        }
        failed |= replay_file(path);
        (*count)++;
    }
    closedir(dir);
    return failed;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        failed |= replay_directory(argv[i], &count);
    }
    printf("%zu inputs replayed\n", count);
    return failed || count == 0;
}

/* A plugin that writes real records as fast as they are taken, at a rate, or once.
 *
 * Its settings come the way a plugin gets them, in the environment:
 *     DETAIL="<rate> <file of whole frames>"
 * A rate of 0 means flat out: writes of 64 KiB that do not end where records end. Above 0 it is in
 * records per second: one write per record, with a pause each 10 ms. Below 0 the file is written
 * once. It ends when nobody reads any more.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_FD = 4, WRITE_BYTES = 64 * 1024, PREFIX_BYTES = 4, PAUSE_NS = 10000000 };

struct block {
    const unsigned char *bytes;
    size_t size;
};

static int write_all(const unsigned char *from, size_t count)
{
    while (count) {
        size_t piece = count < WRITE_BYTES ? count : WRITE_BYTES;
        ssize_t written = write(RECORD_FD, from, piece);
        if (written < 0)
            return -1;
        from += written;
        count -= (size_t)written;
    }
    return 0;
}

static void write_flat_out(struct block block)
{
    while (write_all(block.bytes, block.size) == 0) {
    }
}

static void write_at_rate(struct block block, double rate)
{
    struct timespec next;
    size_t position = 0;
    double due = 0;

    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        for (due += rate * PAUSE_NS / 1e9; due >= 1; due -= 1) {
            uint32_t length;
            memcpy(&length, block.bytes + position, PREFIX_BYTES);
            if (write_all(block.bytes + position, PREFIX_BYTES + length) < 0)
                return;
            position = (position + PREFIX_BYTES + length) % block.size;
        }
        next.tv_nsec += PAUSE_NS;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

int main(void)
{
    const char *detail = getenv("DETAIL");
    char *path;
    struct stat status;

    if (!detail)
        return 2;
    double rate = strtod(detail, &path);
    int file = open(path + 1, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0)
        return 1;
    struct block block = {.size = (size_t)status.st_size};
    block.bytes = mmap(NULL, block.size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (block.bytes == MAP_FAILED)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    if (rate < 0)
        return write_all(block.bytes, block.size) < 0;
    if (rate > 0)
        write_at_rate(block, rate);
    else
        write_flat_out(block);
    return 0;
}

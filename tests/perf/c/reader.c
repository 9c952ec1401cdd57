/* What a plugin host in C reaches: starts the writer and reads its record pipe.
 *
 *     reader <read | parse | keep> <seconds> <writer> <block>
 *
 * read:  reads and does nothing.
 * parse: follows the frames and reads each one's three protobuf fields.
 * keep:  the same, and copies each record's payload into a ring of the newest 8,192.
 *
 * The pipe holds 1 MiB, as the Python host's does, and a read takes up to 1 MiB. Prints records
 * (0 for read), bytes, seconds, its processor seconds and a checksum, after 0.3 s of warming up.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_FD = 4, PIPE_BYTES = 1 << 20, READ_BYTES = 1 << 20, RING = 8192, PREFIX_BYTES = 4 };
#define WARM_UP_S 0.3

struct record {
    int32_t data_type;
    int64_t timestamp;
    const unsigned char *payload;
    size_t payload_size;
};

struct slot {
    struct record record;
    unsigned char *room;
    size_t room_size;
};

static struct slot ring[RING];
static uint64_t records, bytes, kept, checksum;

static double now(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static const unsigned char *varint(const unsigned char *at, const unsigned char *end,
                                   uint64_t *value)
{
    uint64_t result = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        unsigned char byte = *at++;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = result;
            return at;
        }
    }
    return NULL;
}

static int parse(const unsigned char *at, const unsigned char *end, struct record *record)
{
    while (at && at < end) {
        uint64_t number;
        unsigned char tag = *at++;
        if (!(at = varint(at, end, &number)))
            return -1;
        if (tag == 0x08)
            record->data_type = (int32_t)number;
        else if (tag == 0x10)
            record->timestamp = (int64_t)number;
        else if (tag == 0x1a && number <= (uint64_t)(end - at)) {
            record->payload = at;
            record->payload_size = (size_t)number;
            at += number;
        } else
            return -1;
    }
    return 0;
}

static void keep(const struct record *record)
{
    struct slot *slot = &ring[kept++ % RING];
    if (slot->room_size < record->payload_size) {
        slot->room_size = record->payload_size * 2;
        slot->room = realloc(slot->room, slot->room_size);
        if (!slot->room)
            exit(1);
    }
    memcpy(slot->room, record->payload, record->payload_size);
    slot->record = *record;
    slot->record.payload = slot->room;
}

/* Takes the whole frames at the start of the slab; returns how many bytes they are. */
static size_t take(const unsigned char *slab, size_t have, int keeping)
{
    size_t position = 0;
    while (have - position >= PREFIX_BYTES) {
        uint32_t length;
        struct record record = {0};
        memcpy(&length, slab + position, PREFIX_BYTES);
        if (length > have - position - PREFIX_BYTES)
            break;
        const unsigned char *body = slab + position + PREFIX_BYTES;
        if (parse(body, body + length, &record) < 0)
            exit(1);
        checksum += (uint64_t)record.data_type + (uint64_t)record.timestamp + record.payload_size;
        if (keeping)
            keep(&record);
        records++;
        position += PREFIX_BYTES + length;
    }
    return position;
}

static void read_until(double deadline, int pipe_end, unsigned char *slab, size_t *carry, char mode)
{
    while (now(CLOCK_MONOTONIC) < deadline) {
        ssize_t fresh = read(pipe_end, slab + *carry, READ_BYTES);
        if (fresh <= 0)
            exit(1);
        bytes += (uint64_t)fresh;
        if (mode == 'r')
            continue;
        size_t have = *carry + (size_t)fresh, taken = take(slab, have, mode == 'k');
        *carry = have - taken;
        memmove(slab, slab + taken, *carry);
    }
}

static int start(char *writer, char *block)
{
    char detail[4096];
    int ends[2];

    snprintf(detail, sizeof detail, "DETAIL=0 %s", block);
    if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
        exit(1);
    if (fork() == 0) {
        char *environment[] = {detail, NULL};
        if (ends[1] == RECORD_FD)
            fcntl(RECORD_FD, F_SETFD, 0);
        else
            dup2(ends[1], RECORD_FD);
        execle(writer, writer, NULL, environment);
        _exit(1);
    }
    close(ends[1]);
    return ends[0];
}

int main(int argc, char **argv)
{
    size_t carry = 0;

    if (argc != 5)
        return 2;
    char mode = argv[1][0];
    unsigned char *slab = malloc(2 * READ_BYTES);
    int pipe_end = start(argv[3], argv[4]);
    read_until(now(CLOCK_MONOTONIC) + WARM_UP_S, pipe_end, slab, &carry, mode);
    records = bytes = 0;
    double began = now(CLOCK_MONOTONIC), busy = now(CLOCK_PROCESS_CPUTIME_ID);
    read_until(began + atof(argv[2]), pipe_end, slab, &carry, mode);
    double elapsed = now(CLOCK_MONOTONIC) - began;
    busy = now(CLOCK_PROCESS_CPUTIME_ID) - busy;
    printf("%llu %llu %.6f %.6f %llx\n", (unsigned long long)records, (unsigned long long)bytes,
           elapsed, busy, (unsigned long long)checksum);
    close(pipe_end);
    wait(NULL);
    return 0;
}

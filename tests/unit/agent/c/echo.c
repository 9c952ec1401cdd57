/* A plugin that knows nothing but the Elkeid plugin protocol: no SDK, no protobuf library.
 *
 * Says hello (data type 7000), answers each task with a result (5100) that carries the task's
 * token and data, and says goodbye (7001) when the task pipe ends.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TASK_FD = 3, RECORD_FD = 4 };

struct buffer {
    unsigned char *bytes;
    size_t size;
};

struct text {
    const unsigned char *bytes;
    size_t size;
};

static void append(struct buffer *to, const void *bytes, size_t size)
{
    to->bytes = realloc(to->bytes, to->size + size + 1);
    if (!to->bytes)
        _exit(70);
    if (size)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static void append_varint(struct buffer *to, uint64_t number)
{
    do {
        unsigned char byte = (number & 0x7f) | (number > 0x7f ? 0x80 : 0);
        append(to, &byte, 1);
        number >>= 7;
    } while (number);
}

/* A field of wire type 2: tag, length, content. */
static void append_field(struct buffer *to, int number, const void *bytes, size_t size)
{
    append_varint(to, number << 3 | 2);
    append_varint(to, size);
    append(to, bytes, size);
}

static void append_pair(struct buffer *payload, const char *key, struct text value)
{
    struct buffer entry = {0};
    append_field(&entry, 1, key, strlen(key));
    append_field(&entry, 2, value.bytes, value.size);
    append_field(payload, 1, entry.bytes, entry.size);
    free(entry.bytes);
}

static void write_all(const unsigned char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(RECORD_FD, bytes, size);
        if (written <= 0)
            _exit(32);
        bytes += written;
        size -= written;
    }
}

static void send_record(uint64_t data_type, struct buffer *payload)
{
    struct buffer record = {0}, frame = {0};
    append_varint(&record, 1 << 3);
    append_varint(&record, data_type);
    append_varint(&record, 2 << 3);
    append_varint(&record, (uint64_t)time(NULL));
    append_field(&record, 3, payload->bytes, payload->size);
    unsigned char length[4] = {record.size, record.size >> 8, record.size >> 16, record.size >> 24};
    append(&frame, length, sizeof length);
    append(&frame, record.bytes, record.size);
    write_all(frame.bytes, frame.size);
    free(frame.bytes);
    free(record.bytes);
    free(payload->bytes);
    *payload = (struct buffer){0};
}

static int read_all(unsigned char *to, size_t size)
{
    while (size) {
        ssize_t got = read(TASK_FD, to, size);
        if (got <= 0)
            return 0;
        to += got;
        size -= got;
    }
    return 1;
}

static uint64_t read_varint(const unsigned char **at)
{
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        unsigned char byte = *(*at)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    return number;
}

static void answer(const unsigned char *task, size_t size)
{
    struct text texts[5] = {0};
    const unsigned char *at = task, *end = task + size;
    while (at < end) {
        uint64_t tag = read_varint(&at), value = read_varint(&at);
        if ((tag & 7) == 2) {
            if (tag >> 3 < 5)
                texts[tag >> 3] = (struct text){at, value};
            at += value;
        }
    }
    struct buffer payload = {0};
    append_pair(&payload, "token", texts[4]);
    append_pair(&payload, "status", (struct text){(const unsigned char *)"succeed", 7});
    append_pair(&payload, "msg", texts[3]);
    send_record(5100, &payload);
}

int main(void)
{
    const char *detail = getenv("DETAIL");
    struct buffer payload = {0};
    append_pair(&payload, "detail",
                (struct text){(const unsigned char *)(detail ? detail : ""),
                              detail ? strlen(detail) : 0});
    send_record(7000, &payload);
    unsigned char length[4];
    while (read_all(length, sizeof length)) {
        size_t size = length[0] | length[1] << 8 | length[2] << 16 | (size_t)length[3] << 24;
        unsigned char *task = malloc(size + 10);
        if (!task || !read_all(task, size))
            return 71;
        answer(task, size);
        free(task);
    }
    send_record(7001, &payload);
    return 0;
}

/* Calls int32 -> int32 as D-Bus messages that were prepared before: only serials and the number change, and every
 * answer's number is read and compared. One write per message, a read takes what has come. What the bus between two of
 * them costs, or nothing between two of them, is the floor of every D-Bus library. Loaded as a shared library by
 * dbus_floor.py, which authenticates; little-endian. Functions return a negative errno on failure. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROOM (1 << 20)
#define FIRST 16 /* bytes before the header fields */
#define REPLY_SERIAL (FIRST + 4) /* of our answers: the reply serial is their first field */

static uint32_t number_at(const char *data)
{
    uint32_t found;
    memcpy(&found, data, sizeof found);
    return found;
}

static void put(char *data, uint32_t number)
{
    memcpy(data, &number, sizeof number);
}

/* The size of the message at `data`, of which FIRST bytes are there. */
static size_t size_of(const char *data)
{
    return FIRST + ((number_at(data + 12) + 7) & ~7u) + number_at(data + 4);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            data += done;
            size -= (size_t)done;
        }
    }
    return 0;
}

static char buffer[ROOM];
static size_t have, begin;

/* The next message, or NULL with `error` set. */
static char *next_message(int fd, int *error)
{
    char *message;
    for (;;) {
        ssize_t got;
        if (have - begin >= FIRST && have - begin >= size_of(buffer + begin))
            break;
        memmove(buffer, buffer + begin, have - begin);
        have -= begin;
        begin = 0;
        got = read(fd, buffer + have, ROOM - have);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            *error = got ? -errno : -EPIPE;
            return NULL;
        }
        if (got > 0)
            have += (size_t)got;
    }
    message = buffer + begin;
    begin += size_of(message);
    return message;
}

/* Answer every call with `reply` until the peer closes. The number is the last thing in both. */
int dbus_floor_serve(int fd, char *reply, size_t size)
{
    uint32_t serial = 100;
    for (;;) {
        int error = 0;
        char *call = next_message(fd, &error);
        if (!call)
            return error;
        if (call[1] != 1)
            continue;
        put(reply + 8, serial++);
        put(reply + REPLY_SERIAL, number_at(call + 8));
        put(reply + size - 4, number_at(call + size_of(call) - 4) + 1);
        if ((error = write_all(fd, reply, size)))
            return error;
    }
}

/* Call with `depth` outstanding for `duration` ns; one latency per window goes to `latencies` while there is room.
 * Returns the number of calls; *elapsed gets the time they took. */
int64_t dbus_floor_call(int fd, char *call, size_t size, int64_t duration, int depth, int64_t *latencies, int64_t room,
                        int64_t *elapsed)
{
    int64_t begun = now_ns(), before = begun, windows = 0;
    static uint32_t serial = 100;
    uint32_t number = 0;
    while (before - begun < duration) {
        int64_t now;
        int error = 0;
        for (int i = 0; i < depth; i++) {
            put(call + 8, serial++);
            put(call + size - 4, number + (uint32_t)i);
            if ((error = write_all(fd, call, size)))
                return error;
        }
        for (int i = 0; i < depth;) {
            char *reply = next_message(fd, &error);
            if (!reply)
                return error;
            if (reply[1] != 2)
                continue;
            if (number_at(reply + size_of(reply) - 4) != number + (uint32_t)i + 1)
                return -EBADMSG;
            i++;
        }
        number += (uint32_t)depth;
        now = now_ns();
        if (windows < room)
            latencies[windows++] = now - before;
        before = now;
    }
    *elapsed = before - begun;
    return number;
}

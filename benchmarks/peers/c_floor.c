/* Ping-pong over a Unix stream socket: 64-byte messages whose first 8 bytes are the number; the answer carries it
 * plus one. One write per message on both sides, a read takes what has come. Loaded as a shared library by c_floor.py,
 * which opens the sockets: what is timed runs in C alone. Functions return a negative errno on failure. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZE 64
#define MOST 1024 /* messages a buffer holds, and so the largest depth */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int write_message(int fd, const char *message)
{
    size_t done = 0;
    while (done < SIZE) {
        ssize_t put = write(fd, message + done, SIZE - done);
        if (put < 0 && errno != EINTR)
            return -errno;
        if (put > 0)
            done += (size_t)put;
    }
    return 0;
}

/* Read until the buffer, holding `have` bytes, holds `least` at least; return how many it holds, 0 at the end. */
static ssize_t fill(int fd, char *buffer, size_t have, size_t least)
{
    while (have < least) {
        ssize_t got = read(fd, buffer + have, MOST * SIZE - have);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            have += (size_t)got;
    }
    return (ssize_t)have;
}

/* Answer messages until the peer closes. */
int floor_serve(int fd)
{
    static char buffer[MOST * SIZE];
    size_t rest = 0;
    for (;;) {
        ssize_t have = fill(fd, buffer, rest, SIZE);
        char *message = buffer;
        if (have <= 0)
            return (int)have;
        for (rest = (size_t)have; rest >= SIZE; rest -= SIZE, message += SIZE) {
            int64_t number;
            int failed;
            memcpy(&number, message, sizeof number);
            number++;
            memcpy(message, &number, sizeof number);
            if ((failed = write_message(fd, message)))
                return failed;
        }
        memmove(buffer, message, rest);
    }
}

/* One window of calls from `number` on. A wrong answer is EBADMSG. */
static int call_window(int fd, int64_t number, int depth)
{
    static char buffer[MOST * SIZE];
    ssize_t have;
    int failed;
    for (int i = 0; i < depth; i++) {
        char message[SIZE] = {0};
        int64_t sent = number + i;
        memcpy(message, &sent, sizeof sent);
        if ((failed = write_message(fd, message)))
            return failed;
    }
    have = fill(fd, buffer, 0, (size_t)depth * SIZE);
    if (have <= 0)
        return have ? (int)have : -EPIPE;
    for (int i = 0; i < depth; i++) {
        int64_t answer;
        memcpy(&answer, buffer + i * SIZE, sizeof answer);
        if (answer != number + i + 1)
            return -EBADMSG;
    }
    return 0;
}

/* Call with `depth` outstanding for `duration` ns; one latency per window goes to `latencies` while there is room.
 * Returns the number of calls; *elapsed gets the time they took. */
int64_t floor_call(int fd, int64_t duration, int depth, int64_t *latencies, int64_t room, int64_t *elapsed)
{
    int64_t begun = now_ns(), before = begun, number = 0, windows = 0;
    if (depth < 1 || depth > MOST)
        return -EINVAL;
    while (before - begun < duration) {
        int64_t now;
        int failed = call_window(fd, number, depth);
        if (failed)
            return failed;
        number += depth;
        now = now_ns();
        if (windows < room)
            latencies[windows++] = now - before;
        before = now;
    }
    *elapsed = before - begun;
    return number;
}

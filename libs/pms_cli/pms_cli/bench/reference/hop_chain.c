// The floor of a path of Redis Streams hops: what plain blocking sockets in C reach with the same commands.
// build: cc -O2 -o hop_chain hop_chain.c
// run:   hop_chain chain HOPS RATE SECONDS ADDRESS PREFIX    source XADD -> HOPS-1 relays -> sink, groups and XACK;
//                                                            RATE messages/s, or -W: saturate with W under way
//        hop_chain rtt SECONDS ADDRESS PREFIX                A -> B -> A, one message under way
// ADDRESS is a unix socket's path or HOST:PORT with a numeric host. Prints one JSON object. Keys begin with PREFIX.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SAMPLES = 2000000, MAX_HOPS = 16, PAYLOAD = 300, BATCH = 20, WARM_UP = 200 };

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *why) {
    perror(why);
    _exit(1);
}

// ---- a connection: blocking socket, write buffer, read buffer

typedef struct {
    int fd;
    char *in, *out;
    size_t in_cap, in_end, in_at, out_cap, out_end;
} Conn;

static Conn *dial(const char *address) {
    Conn *c = calloc(1, sizeof *c);
    c->in = malloc(c->in_cap = 1 << 18);
    c->out = malloc(c->out_cap = 1 << 18);
    if (strchr(address, '/')) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        strncpy(to.sun_path, address, sizeof to.sun_path - 1);
        c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
        return c;
    }
    char host[64];
    int port = 6379, on = 1;
    if (sscanf(address, "%63[^:]:%d", host, &port) < 1) die("address");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return c;
}

static void put(Conn *c, const char *bytes, size_t n) {
    while (c->out_end + n > c->out_cap) c->out = realloc(c->out, c->out_cap *= 2);
    memcpy(c->out + c->out_end, bytes, n);
    c->out_end += n;
}

static void word(Conn *c, const char *bytes, size_t n) {
    char head[32];
    put(c, head, sprintf(head, "$%zu\r\n", n));
    put(c, bytes, n);
    put(c, "\r\n", 2);
}

static void command(Conn *c, int words, ...) {  // words are C strings
    char head[32];
    va_list list;
    put(c, head, sprintf(head, "*%d\r\n", words));
    va_start(list, words);
    while (words--) {
        const char *w = va_arg(list, const char *);
        word(c, w, strlen(w));
    }
    va_end(list);
}

static void xadd(Conn *c, const char *stream, const char *maxlen, const char *payload, size_t n) {
    put(c, "*8\r\n", 4);
    word(c, "XADD", 4);
    word(c, stream, strlen(stream));
    word(c, "MAXLEN", 6);
    word(c, "~", 1);
    word(c, maxlen, strlen(maxlen));
    word(c, "*", 1);
    word(c, "data", 4);
    word(c, payload, n);
}

static void flush(Conn *c) {
    for (size_t at = 0; at < c->out_end;) {
        ssize_t n = write(c->fd, c->out + at, c->out_end - at);
        if (n <= 0) die("write");
        at += n;
    }
    c->out_end = 0;
}

static void need(Conn *c, size_t n) {  // at least n unread bytes in the buffer
    while (c->in_end - c->in_at < n) {
        if (c->in_at && c->in_at + n > c->in_cap / 2) {
            memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
            c->in_end -= c->in_at;
            c->in_at = 0;
        }
        if (c->in_end + n > c->in_cap) c->in = realloc(c->in, c->in_cap *= 2);
        ssize_t got = read(c->fd, c->in + c->in_end, c->in_cap - c->in_end);
        if (got <= 0) die("read");
        c->in_end += got;
    }
}

// One RESP element: its type; *n its number, length or count; for a bulk string *text, valid until the next call.
static char element(Conn *c, long long *n, char **text) {
    size_t scanned = 0;
    char *end;
    for (;;) {
        need(c, scanned + 1);
        size_t unread = c->in_end - c->in_at;
        if ((end = memchr(c->in + c->in_at + scanned, '\n', unread - scanned))) break;
        scanned = unread;
    }
    char type = c->in[c->in_at];
    *n = atoll(c->in + c->in_at + 1);
    if (type == '-') {
        fprintf(stderr, "%.*s\n", (int)(end - c->in - c->in_at), c->in + c->in_at);
        _exit(1);
    }
    c->in_at = end - c->in + 1;
    if (type == '$' && *n >= 0) {
        need(c, *n + 2);
        *text = c->in + c->in_at;
        c->in_at += *n + 2;
    }
    if (c->in_at == c->in_end) c->in_at = c->in_end = 0;
    return type;
}

static void skip(Conn *c, long replies) {
    long long n;
    char *text;
    while (replies--)
        if (element(c, &n, &text) == '*')
            for (long long i = 0; i < n; i++) skip(c, 1);
}

// The head of an XREADGROUP reply for one stream: how many entries follow (0: BLOCK ended).
static long long entries(Conn *c) {
    long long n;
    char *text;
    element(c, &n, &text);
    if (n <= 0) return 0;
    element(c, &n, &text);  // [stream, entries]
    element(c, &n, &text);  // stream
    element(c, &n, &text);
    return n;
}

typedef struct {
    char id[48], payload[PAYLOAD + 1];
    size_t length;
} Entry;

static void entry(Conn *c, Entry *e) {
    long long n;
    char *text;
    element(c, &n, &text);  // [id, fields]
    element(c, &n, &text);
    snprintf(e->id, sizeof e->id, "%.*s", (int)n, text);
    element(c, &n, &text);  // fields
    element(c, &n, &text);  // "data"
    element(c, &n, &text);
    e->length = n > PAYLOAD ? PAYLOAD : n;
    memcpy(e->payload, text, e->length);
    e->payload[e->length] = 0;
}

static void create(Conn *c, const char *stream) {
    command(c, 2, "DEL", stream);
    command(c, 6, "XGROUP", "CREATE", stream, "g", "0", "MKSTREAM");
    flush(c);
    skip(c, 2);
}

static void ask(Conn *c, const char *stream, const char *count) {
    command(c, 11, "XREADGROUP", "GROUP", "g", "c", "COUNT", count, "BLOCK", "2000", "STREAMS", stream, ">");
    flush(c);
}

static int ascending(const void *a, const void *b) {
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static void print_result(long long *ns, long n, double rate) {
    if (!n) die("no samples");
    qsort(ns, n, sizeof *ns, ascending);
    printf("{\"n\":%ld,\"p50_us\":%.1f,\"p95_us\":%.1f,\"p99_us\":%.1f,\"rate\":%.0f}\n", n, ns[n / 2] / 1e3,
           ns[(long)(n * .95)] / 1e3, ns[(long)(n * .99)] / 1e3, rate);
}

static void payload_now(char *payload) {
    memset(payload, 'x', PAYLOAD);
    payload[sprintf(payload, "%lld", now_ns())] = '|';
}

// ---- chain

typedef struct {
    volatile long n;
    volatile long long first, last;
    long long ns[MAX_SAMPLES];
} Samples;

static void hop(const char *address, const char *in, const char *out, Samples *sink) {
    Conn *reading = dial(address), *writing = dial(address);
    Entry e;
    for (;;) {
        ask(reading, in, "200");
        long long n = entries(reading), replies = 0;
        long long at = now_ns();
        for (long long i = 0; i < n; i++) {
            entry(reading, &e);
            if (!sink) {
                xadd(writing, out, "100000", e.payload, e.length);
                replies++;
            } else if (sink->n < MAX_SAMPLES) {
                if (!sink->n) sink->first = at;
                sink->ns[sink->n] = at - atoll(e.payload);
                sink->last = at;
                sink->n++;
            }
            command(writing, 4, "XACK", in, "g", e.id);
            replies++;
        }
        if (n) flush(writing);
        skip(writing, replies);
    }
}

static int chain(int hops, double rate, double seconds, const char *address, const char *prefix) {
    Samples *sink = mmap(0, sizeof *sink, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0);
    Conn *source = dial(address);
    char stream[MAX_HOPS + 1][128], payload[PAYLOAD + 32];
    pid_t pid[MAX_HOPS];
    for (int i = 0; i <= hops; i++) snprintf(stream[i], sizeof stream[i], "%s:%d", prefix, i);
    for (int i = 0; i < hops; i++) create(source, stream[i]);
    for (int i = 0; i < hops; i++)
        if (!(pid[i] = fork())) hop(address, stream[i], stream[i + 1], i == hops - 1 ? sink : 0);
    usleep(100000);
    long sent = 0;
    long long end = now_ns() + (long long)(seconds * 1e9), next = now_ns();
    while (now_ns() < end && sent < MAX_SAMPLES - BATCH) {
        if (rate < 0 && sent - sink->n >= (long)-rate) {
            usleep(50);
            continue;
        }
        int batch = rate < 0 ? BATCH : 1;
        for (int i = 0; i < batch; i++) {
            payload_now(payload);
            xadd(source, stream[0], "100000", payload, PAYLOAD);
        }
        flush(source);
        skip(source, batch);
        sent += batch;
        if (rate > 0) {
            next += (long long)(1e9 / rate);
            long long wait = next - now_ns();
            if (wait > 0) usleep(wait / 1000);
        }
    }
    usleep(300000);
    for (int i = 0; i < hops; i++) kill(pid[i], SIGKILL);
    while (wait(0) > 0) {}
    for (int i = 0; i < hops; i++) command(source, 2, "DEL", stream[i]);
    flush(source);
    skip(source, hops);
    double lasted = (sink->last - sink->first) / 1e9;
    print_result(sink->ns, sink->n, lasted > 0 ? sink->n / lasted : 0);
    return 0;
}

// ---- round trip

static void echo(const char *address, const char *in, const char *out) {
    Conn *reading = dial(address), *writing = dial(address);
    Entry e;
    for (;;) {
        ask(reading, in, "1");
        if (!entries(reading)) continue;
        entry(reading, &e);
        xadd(writing, out, "10000", e.payload, e.length);
        command(writing, 4, "XACK", in, "g", e.id);
        flush(writing);
        skip(writing, 2);
    }
}

static int round_trip(double seconds, const char *address, const char *prefix) {
    char there[128], back[128], payload[PAYLOAD + 32];
    snprintf(there, sizeof there, "%s:there", prefix);
    snprintf(back, sizeof back, "%s:back", prefix);
    Conn *reading = dial(address), *writing = dial(address);
    create(writing, there);
    create(writing, back);
    pid_t pid = fork();
    if (!pid) echo(address, there, back);
    usleep(100000);
    long long *ns = malloc(MAX_SAMPLES * sizeof *ns), begin = now_ns(), end = begin + (long long)(seconds * 1e9);
    long n = 0, warm = 0;
    Entry e;
    while (now_ns() < end && n < MAX_SAMPLES) {
        ask(reading, back, "1");
        long long sent = now_ns();
        payload_now(payload);
        xadd(writing, there, "10000", payload, PAYLOAD);
        flush(writing);
        skip(writing, 1);
        while (!entries(reading)) ask(reading, back, "1");
        entry(reading, &e);
        if (++warm > WARM_UP) ns[n++] = now_ns() - sent;
        command(writing, 4, "XACK", back, "g", e.id);
        flush(writing);
        skip(writing, 1);
    }
    kill(pid, SIGKILL);
    wait(0);
    command(writing, 3, "DEL", there, back);
    flush(writing);
    skip(writing, 1);
    print_result(ns, n, warm / ((now_ns() - begin) / 1e9));
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 7 && !strcmp(argv[1], "chain") && atoi(argv[2]) >= 1 && atoi(argv[2]) <= MAX_HOPS)
        return chain(atoi(argv[2]), atof(argv[3]), atof(argv[4]), argv[5], argv[6]);
    if (argc == 5 && !strcmp(argv[1], "rtt")) return round_trip(atof(argv[2]), argv[3], argv[4]);
    fprintf(stderr, "hop_chain chain HOPS RATE SECONDS ADDRESS PREFIX | hop_chain rtt SECONDS ADDRESS PREFIX\n");
    return 2;
}

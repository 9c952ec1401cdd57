/* A crowd of processes that listen, for the discovery benchmark.
 *
 *   listeners N      fork N children that each listen on a TCP port of 127.0.0.1 and do nothing
 *
 * Then, by a line on stdin each, answered by the line "done":
 *   churn K          the K oldest children end, K new ones come
 *   connect M        one child holds one end of M connections, another child the other
 * The end of stdin ends them all.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t *children;
static long count, oldest;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int listen_somewhere(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memset(address, 0, size);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (made < 0 || bind(made, (struct sockaddr *)address, size) || listen(made, 128) ||
        getsockname(made, (struct sockaddr *)address, &size))
        fail("listen");
    return made;
}

static void idle(int ready, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    if (write(ready, "", 1) != 1) _exit(1);
    close(ready);
    for (;;) pause();
}

static pid_t spawn_listener(int ready) {
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        struct sockaddr_in address;
        close(0);
        listen_somewhere(&address);
        idle(ready, parent);
    }
    return pid;
}

static void spawn_client(int ready, const struct sockaddr_in *server, long connections) {
    pid_t parent = getpid();
    if (fork() == 0) {
        for (long i = 0; i < connections; i++) {
            int made = socket(AF_INET, SOCK_STREAM, 0);
            if (made < 0 || connect(made, (const struct sockaddr *)server, sizeof *server))
                fail("connect");
        }
        idle(ready, parent);
    }
}

static void spawn_server(int ready, int listener, long connections) {
    pid_t parent = getpid();
    if (fork() == 0) {
        for (long i = 0; i < connections; i++)
            if (accept(listener, NULL, NULL) < 0) fail("accept");
        idle(ready, parent);
    }
}

static void await(int ready, long number) {
    char byte;
    while (number-- > 0)
        if (read(ready, &byte, 1) != 1) fail("a child has failed");
}

int main(int argc, char **argv) {
    char line[64];
    int ready[2];
    long number;
    struct rlimit files;
    if (argc != 2 || (count = atol(argv[1])) < 1 || pipe(ready)) return 2;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    children = calloc(count, sizeof *children);
    for (long i = 0; i < count; i++) children[i] = spawn_listener(ready[1]);
    await(ready[0], count);
    puts("done");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "churn %ld", &number) == 1) {
            for (long i = 0; i < number; i++, oldest = (oldest + 1) % count) {
                kill(children[oldest], SIGKILL);
                waitpid(children[oldest], NULL, 0);
                children[oldest] = spawn_listener(ready[1]);
            }
            await(ready[0], number);
        } else if (sscanf(line, "connect %ld", &number) == 1) {
            struct sockaddr_in address;
            int listener = listen_somewhere(&address);
            spawn_server(ready[1], listener, number);
            spawn_client(ready[1], &address, number);
            close(listener);
            await(ready[0], 2);
        }
        puts("done");
        fflush(stdout);
    }
    return 0; /* every child dies with its parent */
}

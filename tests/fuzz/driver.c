/* Where libFuzzer is missing: calls the entry point with mutations of the seeds, blindly, for so many seconds.
 *
 * driver SECONDS SEED... ; with 0 seconds the seeds alone. What was called last is written to crash-input when it ends. */

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define LONGEST (1 << 16)

static uint8_t now[LONGEST];
static volatile size_t now_size;

static void last_words(int number) {
    FILE *file = fopen("crash-input", "wb");
    if (file) {
        fwrite(now, 1, now_size, file);
        fclose(file);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t next_random(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void call(void) {
    alarm(20); /* a hang is a bug */
    LLVMFuzzerTestOneInput(now, now_size);
    alarm(0);
}

static void mutate(uint64_t *state) {
    static const uint8_t likely[] = "0123456789abcdefABCDEF \n\\*#(nr\t\0\xff\x80\x7f";
    for (uint64_t changes = 1 + next_random(state) % 6; changes; changes--) {
        size_t at = now_size ? next_random(state) % now_size : 0, count = 1 + next_random(state) % 16;
        if (at + count > now_size) count = now_size - at;
        switch (next_random(state) % 6) {
        case 0:
            if (now_size) now[at] ^= (uint8_t)(1 << next_random(state) % 8);
            break;
        case 1:
            if (now_size) now[at] = (uint8_t)next_random(state);
            break;
        case 2:
            if (now_size) now[at] = likely[next_random(state) % (sizeof likely - 1)];
            break;
        case 3:
            memmove(now + at, now + at + count, now_size - at - count);
            now_size -= count;
            break;
        case 4:
            if (now_size + count > LONGEST) break;
            memmove(now + at + count, now + at, now_size - at);
            now_size += count;
            break;
        default:
            if (next_random(state) % 8 == 0) now_size = at;
        }
    }
}

int main(int argc, char **argv) {
    uint64_t state = 1, calls = 0;
    time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 0);
    int seeds = argc - 2;
    uint8_t **contents = exact(NULL, (size_t)(argc + 1) * sizeof *contents);
    size_t *sizes = exact(NULL, (size_t)(argc + 1) * sizeof *sizes);
    for (int number = SIGINT; number < 32; number++) {
        if (number == SIGABRT || number == SIGSEGV || number == SIGALRM || number == SIGILL || number == SIGFPE) {
            signal(number, last_words);
        }
    }
    for (int i = 0; i < seeds; i++) {
        FILE *file = fopen(argv[i + 2], "rb");
        require(file);
        contents[i] = exact(NULL, LONGEST);
        sizes[i] = fread(contents[i], 1, LONGEST, file);
        fclose(file);
        memcpy(now, contents[i], sizes[i]);
        now_size = sizes[i];
        call();
        calls++;
    }
    while (seeds > 0 && time(NULL) < end) {
        for (int i = 0; i < 100; i++, calls++) {
            size_t seed = next_random(&state) % (size_t)seeds;
            memcpy(now, contents[seed], sizes[seed]);
            now_size = sizes[seed];
            mutate(&state);
            call();
        }
    }
    printf("%llu inputs\n", (unsigned long long)calls);
    for (int i = 0; i < seeds; i++) free(contents[i]);
    free(contents);
    free(sizes);
    return 0;
}

/*
 * Points in time: the input is a pattern and a text, parted by a newline. What a valid pattern
 * reads it writes back as it was; Unix seconds agree with libc.
 */
#include "base/arena.h"
#include "codec/time.h"

#include <stdlib.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_survive_writing(struct slu_arena *arena, struct slu_str pattern,
                                 struct slu_str text)
{
    struct slu_str canonical, back;

    if (!slu_time_read(arena, pattern, text, &canonical))
        return;
    if (!slu_time_pattern_valid(pattern))
        return; /* tables are checked at load; here only memory safety is asked for */
    if (!slu_time_write(arena, pattern, canonical, &back) || !slu_str_eq(back, text))
        abort();
    if (!slu_time_read(arena, SLU_STR("YYYY-MM-DDThh:mm:ss[.f]Z"), canonical, &back) ||
        !slu_str_eq(back, canonical))
        abort();
}

static void must_agree_with_libc(int64_t unix_s)
{
    char text[SLU_TIME_EXTENDED], imf[SLU_TIME_IMF], basic[SLU_TIME_BASIC];
    char theirs[40];
    time_t moment = (time_t)unix_s;
    int64_t back;
    struct tm tm;

    slu_time_extended(unix_s, text);
    slu_time_imf(unix_s, imf);
    slu_time_basic(unix_s, basic);
    if (unix_s < INT64_C(-62135596800) || unix_s > INT64_C(253402300799))
        return; /* years that strftime writes with fewer or more than four digits */
    if (!gmtime_r(&moment, &tm) || !strftime(theirs, sizeof(theirs), "-%m-%dT%H:%M:%SZ", &tm) ||
        memcmp(text + 4, theirs, sizeof(text) - 4) != 0)
        abort();
    if (!strftime(theirs, sizeof(theirs), "%a, %d %b ", &tm) || memcmp(imf, theirs, 12) != 0)
        abort();
    if (!slu_time_to_unix((struct slu_str){text, sizeof(text)}, &back) || back != unix_s ||
        !slu_time_to_unix((struct slu_str){basic, sizeof(basic)}, &back) || back != unix_s)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_str text = {(const char *)data, size}, pattern = slu_str_cut(&text, '\n');
    struct slu_arena arena;
    int64_t unix_s = 0;

    slu_arena_init(&arena, 1 << 20);
    must_survive_writing(&arena, pattern, text);
    if (slu_time_to_unix(text, &unix_s))
        must_agree_with_libc(unix_s);
    if (size >= sizeof(unix_s)) {
        memcpy(&unix_s, data, sizeof(unix_s));
        must_agree_with_libc(unix_s);
        must_agree_with_libc(unix_s % INT64_C(253402300800));
    }
    slu_arena_done(&arena);
    return 0;
}

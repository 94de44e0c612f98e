/* Log lines: formatted into one buffer, escaped as JSON, written at once. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *const words[] = {"error", "warn", "info", "debug", "trace"};
static _Atomic int most = SLU_LOG_INFO;

void slu_log_set(enum slu_log_level level)
{
    most = (int)level;
}

bool slu_log_wants(enum slu_log_level level)
{
    return (int)level <= most;
}

bool slu_log_level_of(struct slu_str word, enum slu_log_level *ret_level)
{
    for (size_t i = 0; i < SLU_COUNT(words); i++) {
        if (!slu_str_is(word, words[i]))
            continue;
        *ret_level = (enum slu_log_level)i;
        return true;
    }
    return false;
}

static void add_escaped(struct slu_buf *line, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f) {
            slu_buf_printf(line, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\')
            slu_buf_byte(line, '\\');
        slu_buf_byte(line, (char)c);
    }
}

static void add_time(struct slu_buf *line)
{
    int64_t ms = slu_clock_real_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[32];

    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    slu_buf_printf(line, "%s.%03dZ", text, (int)(ms % 1000));
}

void slu_log(enum slu_log_level level, const char *event, const char *format, ...)
{
    struct slu_buf line;
    char message[2048];
    va_list args;
    ssize_t written;

    if (!slu_log_wants(level))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    slu_buf_init(&line, 0);
    slu_buf_lit(&line, "{\"time\":\"");
    add_time(&line);
    slu_buf_printf(&line, "\",\"level\":\"%s\",\"event\":\"%s\",\"message\":\"", words[level],
                   event);
    add_escaped(&line, message);
    slu_buf_lit(&line, "\"}\n");
    if (!line.failed) {
        written = write(STDERR_FILENO, line.p, line.n);
        (void)written; /* nobody is left to tell */
    }
    slu_buf_done(&line);
}

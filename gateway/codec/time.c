/* Points in time, read and written by patterns; the calendar of RFC 3339 without libc's locale. */
#include "codec/time.h"

#include "base/mem.h"

enum part { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, PARTS };

struct moment {
    int part[PARTS];
    struct slu_str fraction; /* digits without the point; may be empty */
};

static const struct {
    struct slu_str letters;
    int most; /* by itself; the days of a month are looked at later */
} places[PARTS] = {
    [YEAR] = {SLU_STR_INIT("YYYY"), 9999}, [MONTH] = {SLU_STR_INIT("MM"), 12},
    [DAY] = {SLU_STR_INIT("DD"), 31},      [HOUR] = {SLU_STR_INIT("hh"), 23},
    [MINUTE] = {SLU_STR_INIT("mm"), 59},   [SECOND] = {SLU_STR_INIT("ss"), 60},
};
static const struct slu_str fraction_letters = SLU_STR_INIT("[.f]");
static const struct slu_str rfc3339_pattern = SLU_STR_INIT("YYYY-MM-DDThh:mm:ss[.f]Z");

static bool take(struct slu_str *text, struct slu_str head)
{
    if (!slu_str_starts(*text, head))
        return false;
    text->p += head.n;
    text->n -= head.n;
    return true;
}

/* The part that the pattern goes on with; PARTS when it is something else. */
static enum part take_part(struct slu_str *pattern)
{
    for (enum part i = YEAR; i < PARTS; i++)
        if (pattern->p[0] == places[i].letters.p[0] && take(pattern, places[i].letters))
            return i;
    return PARTS;
}

static bool take_number(struct slu_str *text, size_t digits, int *ret_number)
{
    uint64_t number;

    if (text->n < digits || !slu_str_to_u64((struct slu_str){text->p, digits}, &number))
        return false;
    *ret_number = (int)number;
    text->p += digits;
    text->n -= digits;
    return true;
}

/* "" when there is no point; false when no digit follows it. */
static bool take_fraction(struct slu_str *text, struct slu_str *ret_digits)
{
    struct slu_str digits;

    if (!take(text, SLU_STR(".")))
        return true;
    digits = (struct slu_str){text->p, 0};
    while (digits.n < text->n && digits.p[digits.n] >= '0' && digits.p[digits.n] <= '9')
        digits.n++;
    *ret_digits = digits;
    text->p += digits.n;
    text->n -= digits.n;
    return digits.n > 0;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* A leap second stands at the end of a UTC day (RFC 3339 §5.7). */
static bool real(const struct moment *moment)
{
    const int *part = moment->part;

    for (int i = MONTH; i < PARTS; i++)
        if (part[i] > places[i].most)
            return false;
    return part[MONTH] >= 1 && part[DAY] >= 1 &&
           part[DAY] <= days_of_month(part[YEAR], part[MONTH]) &&
           (part[SECOND] < 60 || (part[HOUR] == 23 && part[MINUTE] == 59));
}

static bool read_moment(struct slu_str pattern, struct slu_str text, struct moment *ret_moment)
{
    struct moment moment = {{0}, SLU_STR("")};

    while (pattern.n) {
        enum part part = take_part(&pattern);

        if (part != PARTS) {
            if (!take_number(&text, places[part].letters.n, &moment.part[part]))
                return false;
        } else if (pattern.p[0] == '[' && take(&pattern, fraction_letters)) {
            if (!take_fraction(&text, &moment.fraction))
                return false;
        } else {
            if (!text.n || text.p[0] != pattern.p[0])
                return false;
            text.p++;
            text.n--;
            pattern.p++;
            pattern.n--;
        }
    }
    if (text.n || !real(&moment))
        return false;
    *ret_moment = moment;
    return true;
}

static void put_number(char *out, size_t digits, int number)
{
    while (digits--) {
        out[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* The pattern filled in; `out` has room for the pattern and the fraction. Answers the length. */
static size_t put_moment(struct slu_str pattern, const struct moment *moment, char *out)
{
    size_t n = 0;

    while (pattern.n) {
        enum part part = take_part(&pattern);

        if (part != PARTS) {
            put_number(out + n, places[part].letters.n, moment->part[part]);
            n += places[part].letters.n;
        } else if (pattern.p[0] == '[' && take(&pattern, fraction_letters)) {
            if (moment->fraction.n) {
                out[n++] = '.';
                memcpy(out + n, moment->fraction.p, moment->fraction.n);
                n += moment->fraction.n;
            }
        } else {
            out[n++] = pattern.p[0];
            pattern.p++;
            pattern.n--;
        }
    }
    return n;
}

static bool write_moment(struct slu_arena *arena, struct slu_str pattern,
                         const struct moment *moment, struct slu_str *ret_text)
{
    char *out = slu_arena_get(arena, pattern.n + moment->fraction.n + 1);

    if (!out)
        return false;
    *ret_text = (struct slu_str){out, put_moment(pattern, moment, out)};
    return true;
}

bool slu_time_read(struct slu_arena *arena, struct slu_str pattern, struct slu_str text,
                   struct slu_str *ret_rfc3339)
{
    struct moment moment;

    return read_moment(pattern, text, &moment) &&
           write_moment(arena, rfc3339_pattern, &moment, ret_rfc3339);
}

static bool has_fraction(struct slu_str pattern)
{
    return pattern.n && memmem(pattern.p, pattern.n, fraction_letters.p, fraction_letters.n);
}

static bool zero(struct slu_str digits)
{
    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] != '0')
            return false;
    return true;
}

bool slu_time_write(struct slu_arena *arena, struct slu_str pattern, struct slu_str rfc3339,
                    struct slu_str *ret_text)
{
    struct moment moment;

    if (!read_moment(rfc3339_pattern, rfc3339, &moment) ||
        (!has_fraction(pattern) && !zero(moment.fraction)))
        return false;
    return write_moment(arena, pattern, &moment, ret_text);
}

/* Literals may be any printable ASCII but the letters of the parts and brackets, which would be a
 * slip of the pen ("YY", "[.ff]"). */
static bool literal(char c)
{
    return c >= ' ' && c < 0x7f && !strchr("YMDhmsf[]", c);
}

bool slu_time_pattern_valid(struct slu_str pattern)
{
    unsigned seen = 0, all = (1u << PARTS) - 1;

    while (pattern.n) {
        enum part part = take_part(&pattern);

        if (part != PARTS) {
            if (seen & 1u << part)
                return false;
            seen |= 1u << part;
            if (part == SECOND)
                take(&pattern, fraction_letters);
        } else {
            if (!literal(pattern.p[0]))
                return false;
            pattern.p++;
            pattern.n--;
        }
    }
    return seen == all;
}

/* Days since 1970-01-01 of the Gregorian calendar. Years are counted from March, so that the leap
 * day is the last; 400 years have 146097 days. */
static int64_t days_from(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

enum { DAY_SECONDS = 86400 };

/* Years outside 0000 to 9999 cannot be written: the nearest moment that can is taken. */
static int64_t writable(int64_t unix_s)
{
    static const int64_t first = INT64_C(-62167219200), last = INT64_C(253402300799);

    if (unix_s < first)
        return first;
    return unix_s > last ? last : unix_s;
}

static struct moment moment_of(int64_t unix_s, int *ret_weekday)
{
    int64_t days, rest, era, of_era, year, of_year, month;
    struct moment moment = {.fraction = SLU_STR("")};

    unix_s = writable(unix_s);
    days = unix_s / DAY_SECONDS - (unix_s % DAY_SECONDS < 0);
    rest = unix_s - days * DAY_SECONDS;
    *ret_weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    days += 719468;                                 /* 0000-03-01 */
    era = (days >= 0 ? days : days - 146096) / 146097;
    of_era = days - era * 146097;
    year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;
    moment.part[DAY] = (int)(of_year - (153 * month + 2) / 5 + 1);
    moment.part[MONTH] = (int)(month < 10 ? month + 3 : month - 9);
    moment.part[YEAR] = (int)(year + era * 400 + (moment.part[MONTH] <= 2));
    moment.part[HOUR] = (int)(rest / 3600);
    moment.part[MINUTE] = (int)(rest / 60 % 60);
    moment.part[SECOND] = (int)(rest % 60);
    return moment;
}

static const struct slu_str extended = SLU_STR_INIT("YYYY-MM-DDThh:mm:ssZ");
static const struct slu_str basic = SLU_STR_INIT("YYYYMMDDThhmmssZ");

void slu_time_extended(int64_t unix_s, char out[SLU_TIME_EXTENDED])
{
    int weekday;
    struct moment moment = moment_of(unix_s, &weekday);

    slu_must(put_moment(extended, &moment, out) == SLU_TIME_EXTENDED);
}

void slu_time_basic(int64_t unix_s, char out[SLU_TIME_BASIC])
{
    int weekday;
    struct moment moment = moment_of(unix_s, &weekday);

    slu_must(put_moment(basic, &moment, out) == SLU_TIME_BASIC);
}

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void slu_time_imf(int64_t unix_s, char out[SLU_TIME_IMF])
{
    int weekday;
    struct moment moment = moment_of(unix_s, &weekday);
    const int *part = moment.part;

    memcpy(out, "ddd, DD mmm YYYY hh:mm:ss GMT", SLU_TIME_IMF);
    memcpy(out, days + (size_t)weekday * 3, 3);
    put_number(out + 5, 2, part[DAY]);
    memcpy(out + 8, months + (size_t)(part[MONTH] - 1) * 3, 3);
    put_number(out + 12, 4, part[YEAR]);
    put_number(out + 17, 2, part[HOUR]);
    put_number(out + 20, 2, part[MINUTE]);
    put_number(out + 23, 2, part[SECOND]);
}

bool slu_time_to_unix(struct slu_str text, int64_t *ret_unix_s)
{
    struct moment moment;
    const int *part = moment.part;

    if (!read_moment(text.n == SLU_TIME_BASIC ? basic : extended, text, &moment))
        return false;
    *ret_unix_s = days_from(part[YEAR], part[MONTH], part[DAY]) * DAY_SECONDS + part[HOUR] * 3600 +
                  part[MINUTE] * 60 + part[SECOND];
    return true;
}

/* ---- HTTP-date */

/* '#' stands for any character; what it is, the reading of the number or name says. */
static bool like(struct slu_str text, const char *form)
{
    size_t i = 0;

    while (i < text.n && form[i] && (form[i] == '#' || form[i] == text.p[i]))
        i++;
    return i == text.n && !form[i];
}

/* The place of a name of three letters in its list. */
static bool take_name(const char *names, size_t count, const char *name, int *ret_index)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(names + 3 * i, name, 3) == 0) {
            *ret_index = (int)i;
            return true;
        }
    return false;
}

/* The parts of a date, each where it stands in the text. */
static bool put_together(const char *year, const char *month, const char *day, const char *clock,
                         int64_t *ret_unix_s)
{
    char text[SLU_TIME_EXTENDED];
    int index;

    if (!take_name(months, 12, month, &index))
        return false;
    memcpy(text, "YYYY-MM-DDThh:mm:ssZ", sizeof(text));
    memcpy(text, year, 4);
    put_number(text + 5, 2, index + 1);
    memcpy(text + 8, day, 2);
    memcpy(text + 11, clock, 8);
    return slu_time_to_unix((struct slu_str){text, sizeof(text)}, ret_unix_s);
}

static bool read_asctime(struct slu_str text, int64_t *ret_unix_s)
{
    char day[2] = {text.p[5], text.p[6]};

    if (day[0] == ' ')
        day[0] = '0';
    return put_together(text.p + 17, text.p + 1, day, text.p + 8, ret_unix_s);
}

/* The latest year with these digits that is not more than 50 years ahead. */
static bool read_rfc850(struct slu_str text, int64_t now_s, int64_t *ret_unix_s)
{
    int weekday, now = moment_of(now_s, &weekday).part[YEAR], year;
    struct slu_str digits = {text.p + 9, 2};
    char whole[4];

    if (!take_number(&digits, 2, &year))
        return false;
    year += now / 100 * 100 + 100;
    while (year > now + 50)
        year -= 100;
    put_number(whole, 4, year);
    return put_together(whole, text.p + 5, text.p + 2, text.p + 12, ret_unix_s);
}

static bool take_weekday(struct slu_str *text, int *ret_weekday, bool *ret_whole)
{
    static const char *const endings[] = {"day", "day", "sday", "nesday", "rsday", "day", "urday"};

    if (text->n < 3 || !take_name(days, 7, text->p, ret_weekday))
        return false;
    text->p += 3;
    text->n -= 3;
    *ret_whole = take(text, slu_str_of(endings[*ret_weekday]));
    return true;
}

bool slu_time_http(struct slu_str text, int64_t now_s, int64_t *ret_unix_s)
{
    int told, weekday;
    int64_t unix_s;
    bool whole, good = false;

    if (!take_weekday(&text, &told, &whole))
        return false;
    if (whole)
        good = like(text, ", ##-###-## ##:##:## GMT") && read_rfc850(text, now_s, &unix_s);
    else if (like(text, ", ## ### #### ##:##:## GMT"))
        good = put_together(text.p + 9, text.p + 5, text.p + 2, text.p + 14, &unix_s);
    else if (like(text, " ### ## ##:##:## ####"))
        good = read_asctime(text, &unix_s);
    if (!good)
        return false;
    (void)moment_of(unix_s, &weekday);
    if (weekday != told)
        return false;
    *ret_unix_s = unix_s;
    return true;
}

bool slu_time_date(struct slu_str text, int64_t now_s, int64_t *ret_unix_s)
{
    int64_t unix_s;

    if (!slu_time_http(text, now_s, &unix_s) || unix_s > now_s + DAY_SECONDS ||
        unix_s < now_s - DAY_SECONDS)
        return false;
    *ret_unix_s = unix_s;
    return true;
}

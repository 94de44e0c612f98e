/* Sources of secrets, and the store of what the environment held. */
#include "app/secrets.h"

#include "codec/shape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_BYTES = 65536 };

struct kept {
    struct kept *next;
    char *name;
    struct slu_secret *secret;
};

static struct kept *kept_first;

static struct kept *kept_find(const char *name)
{
    struct kept *kept = kept_first;

    while (kept && strcmp(kept->name, name) != 0)
        kept = kept->next;
    return kept;
}

static void kept_free(struct kept *kept)
{
    slu_mem_free(kept->name);
    slu_secret_free(kept->secret);
    slu_mem_free(kept);
}

/* A variable that is set (again) is worth more than what was kept. NULL when there is none, or on
 * no memory. */
static const struct slu_secret *kept_from_environment(const char *name)
{
    const char *value = getenv(name);
    struct kept *kept = kept_find(name);
    struct slu_secret *secret;

    if (!value)
        return kept ? kept->secret : NULL;
    secret = slu_secret_new(slu_str_of(value));
    if (!secret)
        return NULL;
    if (!kept) {
        kept = slu_mem_new(sizeof(*kept));
        if (!kept || !(kept->name = slu_mem_text(name, strlen(name)))) {
            slu_mem_free(kept);
            slu_secret_free(secret);
            return NULL;
        }
        kept->next = kept_first;
        kept_first = kept;
    }
    slu_secret_free(kept->secret);
    kept->secret = secret;
    return secret;
}

void slu_secrets_wipe_environment(void)
{
    for (struct kept *kept = kept_first; kept; kept = kept->next) {
        char *value = getenv(kept->name);

        if (!value)
            continue;
        slu_wipe(value, strlen(value)); /* /proc/PID/environ shows these bytes */
        unsetenv(kept->name);
    }
}

void slu_secrets_forget(void)
{
    while (kept_first) {
        struct kept *next = kept_first->next;

        kept_free(kept_first);
        kept_first = next;
    }
}

static struct slu_secret *told(struct slu_mistakes *mistakes, struct slu_str pointer,
                               const char *words)
{
    slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer, "%s", words);
    return NULL;
}

static struct slu_secret *no_memory(struct slu_mistakes *mistakes, struct slu_str pointer)
{
    slu_mistake(mistakes, SLU_FAULT_MEMORY, pointer, "out of memory");
    return NULL;
}

static struct slu_secret *from_environment(const char *name, struct slu_str pointer,
                                           struct slu_mistakes *mistakes)
{
    const struct slu_secret *kept;
    struct slu_secret *copy;

    if (!name[0] || strchr(name, '='))
        return told(mistakes, pointer, "this is no name of an environment variable");
    if (!getenv(name) && !kept_find(name)) {
        slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                    "the environment variable %.100s is not set; set it for this process, or name "
                    "a file",
                    name);
        return NULL;
    }
    kept = kept_from_environment(name);
    copy = kept ? slu_secret_new(slu_secret_reveal(kept)) : NULL;
    return copy ? copy : no_memory(mistakes, pointer);
}

/* The bytes, or -1 with errno. Only regular files: anything else could make the start wait. */
static ssize_t read_small(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat facts;
    ssize_t got = 0;
    size_t n = 0;

    if (fd < 0)
        return -1;
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    while (n < size && (got = read(fd, bytes + n, size - n)) > 0)
        n += (size_t)got;
    close(fd);
    return got < 0 ? -1 : (ssize_t)n;
}

static struct slu_secret *from_file(const char *path, struct slu_str pointer,
                                    struct slu_mistakes *mistakes)
{
    char bytes[SECRET_BYTES + 1];
    ssize_t got = read_small(path, bytes, sizeof(bytes));
    struct slu_str text = {bytes, got > 0 ? (size_t)got : 0};
    struct slu_secret *secret;

    if (got < 0) {
        slu_mistake(mistakes, SLU_FAULT_CONFIG, pointer,
                    "the file %.200s cannot be read: %s; it %s", path,
                    errno == EINVAL ? "no regular file" : strerror(errno),
                    "must hold the secret and be readable for this user");
        return NULL;
    }
    if (text.n > SECRET_BYTES) {
        slu_wipe(bytes, sizeof(bytes));
        return told(mistakes, pointer, "the file is longer than any secret (64 kB)");
    }
    if (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    if (text.n && text.p[text.n - 1] == '\r')
        text.n--;
    secret = slu_secret_new(text);
    slu_wipe(bytes, (size_t)got);
    return secret ? secret : no_memory(mistakes, pointer);
}

/* What is wrong with the bytes, or NULL. */
static const char *flaw(struct slu_str bytes, bool in_header)
{
    if (bytes.n == 0)
        return "the secret is empty";
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];

        if (c < 0x20 || c == 0x7f)
            return "the secret holds a control character (a line end too many?)";
        if (in_header && (c == ' ' || c > 0x7e))
            return "it holds a blank or a character outside ASCII, which no key has";
    }
    return NULL;
}

struct slu_secret *slu_secret_read(const json_t *source, struct slu_str pointer, bool in_header,
                                   struct slu_mistakes *mistakes)
{
    const char *env = json_string_value(json_object_get(source, "env"));
    const char *file = json_string_value(json_object_get(source, "file"));
    const json_t *value = json_is_string(source) ? source : json_object_get(source, "value");
    slu_auto(slu_secret) *secret = NULL;
    const char *why;

    if ((env != NULL) + (file != NULL) + json_is_string(value) != 1)
        return NULL;
    if (env)
        secret = from_environment(env, pointer, mistakes);
    else if (file)
        secret = from_file(file, pointer, mistakes);
    else if (!(secret = slu_secret_new(slu_ours_text(value))))
        return no_memory(mistakes, pointer);
    if (!secret)
        return NULL;
    why = flaw(slu_secret_reveal(secret), in_header);
    return why ? told(mistakes, pointer, why) : slu_take(secret);
}

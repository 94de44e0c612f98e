/* Secrets on the heap, wiped before they are given back. */
#include "base/secret.h"

struct slu_secret {
    size_t n;
    char bytes[];
};

struct slu_secret *slu_secret_new(struct slu_str bytes)
{
    struct slu_secret *secret = slu_mem_new(sizeof(*secret) + bytes.n + 1);

    if (!secret)
        return NULL;
    secret->n = bytes.n;
    if (bytes.n)
        memcpy(secret->bytes, bytes.p, bytes.n);
    return secret;
}

void slu_secret_free(struct slu_secret *secret)
{
    if (!secret)
        return;
    slu_wipe(secret->bytes, secret->n);
    slu_mem_free(secret);
}

struct slu_str slu_secret_reveal(const struct slu_secret *secret)
{
    return secret ? (struct slu_str){secret->bytes, secret->n} : SLU_STR_NONE;
}

void slu_wipe(void *bytes, size_t count)
{
    if (count)
        explicit_bzero(bytes, count);
}

bool slu_equal_secretly(struct slu_str a, struct slu_str b)
{
    volatile unsigned char differ = a.n != b.n;
    size_t n = a.n < b.n ? a.n : b.n;

    for (size_t i = 0; i < n; i++)
        differ = (unsigned char)(differ | ((unsigned char)a.p[i] ^ (unsigned char)b.p[i]));
    return differ == 0;
}

/* Members and items of the gateway's own documents. */
#include "codec/build.h"

static struct slu_value *put(struct slu_value *object, const char *name, struct slu_value *child)
{
    slu_value_put(object, slu_str_of(name), child);
    return child;
}

struct slu_value *slu_put_object(struct slu_arena *arena, struct slu_value *object,
                                 const char *name)
{
    return put(object, name, slu_value_new(arena, SLU_OBJECT));
}

struct slu_value *slu_put_array(struct slu_arena *arena, struct slu_value *object, const char *name)
{
    return put(object, name, slu_value_new(arena, SLU_ARRAY));
}

void slu_put_str(struct slu_arena *arena, struct slu_value *object, const char *name,
                 struct slu_str text)
{
    put(object, name, slu_value_string(arena, text));
}

void slu_put_text(struct slu_arena *arena, struct slu_value *object, const char *name,
                  const char *text)
{
    put(object, name, slu_value_string(arena, slu_str_of(text)));
}

void slu_put_int(struct slu_arena *arena, struct slu_value *object, const char *name,
                 int64_t number)
{
    put(object, name, slu_value_int(arena, number));
}

void slu_put_bool(struct slu_arena *arena, struct slu_value *object, const char *name, bool truth)
{
    put(object, name, slu_value_bool(arena, truth));
}

void slu_put_null(struct slu_arena *arena, struct slu_value *object, const char *name)
{
    put(object, name, slu_value_new(arena, SLU_NULL));
}

void slu_add_str(struct slu_arena *arena, struct slu_value *array, struct slu_str text)
{
    slu_value_append(array, slu_value_string(arena, text));
}

void slu_add_text(struct slu_arena *arena, struct slu_value *array, const char *text)
{
    slu_add_str(arena, array, slu_str_of(text));
}

struct slu_value *slu_add_object(struct slu_arena *arena, struct slu_value *array)
{
    struct slu_value *object = slu_value_new(arena, SLU_OBJECT);

    slu_value_append(array, object);
    return object;
}

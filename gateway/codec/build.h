/*
 * Documents that the gateway makes itself, put together member by member. Nothing needs to be
 * looked at on the way: a NULL parent or child is let through, and the arena remembers a failure.
 * Names live as long as the document: they are constants, or lie in its arena.
 */
#ifndef SLU_CODEC_BUILD_H
#define SLU_CODEC_BUILD_H

#include "codec/value.h"

/* A new empty object or array as this member; NULL when the arena is spent. */
struct slu_value *slu_put_object(struct slu_arena *arena, struct slu_value *object,
                                 const char *name);
struct slu_value *slu_put_array(struct slu_arena *arena, struct slu_value *object,
                                const char *name);
void slu_put_str(struct slu_arena *arena, struct slu_value *object, const char *name,
                 struct slu_str text);
void slu_put_text(struct slu_arena *arena, struct slu_value *object, const char *name,
                  const char *text);
void slu_put_int(struct slu_arena *arena, struct slu_value *object, const char *name,
                 int64_t number);
void slu_put_bool(struct slu_arena *arena, struct slu_value *object, const char *name, bool truth);
void slu_put_null(struct slu_arena *arena, struct slu_value *object, const char *name);
/* A text as the last item. */
void slu_add_str(struct slu_arena *arena, struct slu_value *array, struct slu_str text);
void slu_add_text(struct slu_arena *arena, struct slu_value *array, const char *text);
/* A new empty object as the last item. */
struct slu_value *slu_add_object(struct slu_arena *arena, struct slu_value *array);

#endif

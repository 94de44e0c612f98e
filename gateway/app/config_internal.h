/*
 * What the files of the configuration loader share: one loading under way, and the small tools that
 * every part needs. Each part tolerates members of a wrong type silently, because the shape check
 * before it has told them; so all mistakes of a file come out at once.
 */
#ifndef SLU_APP_CONFIG_INTERNAL_H
#define SLU_APP_CONFIG_INTERNAL_H

#include "app/config.h"
#include "app/endpoint.h"
#include "app/tables.h"
#include "codec/shape.h"

struct slu_load {
    struct slu_catalog *catalog;
    struct slu_arena scratch;  /* pointers, shapes and mistakes; gone after loading */
    struct slu_mistakes found; /* in this file; `place` is added when they are handed on */
    json_t *root;
    struct slu_table_files files;
    struct slu_address *addresses; /* of all listeners, to find doubles */
    struct slu_str *address_pointers;
    size_t address_count, address_room;
};

/* A place in the configuration: the value and its JSON Pointer. */
struct slu_spot {
    json_t *value; /* NULL when absent */
    struct slu_str pointer;
};

struct slu_spot slu_spot_member(struct slu_load *load, struct slu_spot spot, const char *name);
struct slu_spot slu_spot_item(struct slu_load *load, struct slu_spot spot, size_t index);

/* Records a mistake there; answers false. */
bool slu_load_mistake(struct slu_load *load, struct slu_spot spot, const char *format, ...)
    SLU_PRINTF(3, 4);
/* "; did you mean "x"?" or nothing; the names are those of `names`. In the scratch arena. */
const char *slu_load_hint(struct slu_load *load, struct slu_str word, const char *const *names,
                          size_t count);
/* The member as text in the catalog's arena; NULL or the empty text when absent. */
const char *slu_load_text(struct slu_load *load, struct slu_spot object, const char *name);
struct slu_str slu_load_str(struct slu_load *load, struct slu_spot object, const char *name);
/* A file that must be readable; its name, or NULL. */
const char *slu_load_file(struct slu_load *load, struct slu_spot object, const char *name);
/* Letters, digits, ".", "_", "-"; at most 64. Names stand in paths and logs. */
bool slu_load_name(struct slu_load *load, struct slu_str name, struct slu_spot spot);
void slu_load_listener(struct slu_load *load, struct slu_spot spot, struct slu_listener *listener);
/* The table of the dialect that the member names; NULL with a mistake. */
const struct slu_table *slu_load_dialect(struct slu_load *load, struct slu_spot spot,
                                         bool memory_too);

/* config_target.c */
void slu_load_targets(struct slu_load *load, struct slu_spot top);
void slu_load_parameters(struct slu_load *load, const struct slu_table *table, struct slu_spot spot,
                         bool complete, struct slu_vars *vars);
void slu_load_aliases(struct slu_load *load, struct slu_spot spot,
                      const struct slu_alias **ret_aliases, size_t *ret_count);
/* config_door.c */
void slu_load_callers(struct slu_load *load, struct slu_spot top);
void slu_load_doors(struct slu_load *load, struct slu_spot top);

#endif

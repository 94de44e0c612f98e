/* What the two files that make JSON Schemas share. */
#ifndef SLU_MAPPING_JSON_SCHEMA_INTERNAL_H
#define SLU_MAPPING_JSON_SCHEMA_INTERNAL_H

#include "mapping/table_internal.h"

struct slu_schema {
    struct slu_arena *arena;
    const struct slu_table *table; /* NULL: the model alone */
    const struct slu_rows *rows;   /* of the request; NULL without a table */
    enum slu_operation operation;  /* create or update */
    const struct slu_schema_for *target;
    const struct slu_member *members; /* by slot */
    uint8_t count;                    /* at most SLU_SLOTS_MOST */
};

/* json_schema_member.c */

/* What one member may be; null always among it. */
struct slu_value *slu_schema_member(struct slu_schema *schema, uint8_t slot);
/* Can the member be sent with any value but null? */
bool slu_schema_sends(const struct slu_schema *schema, uint8_t slot);
/* Would a request's rows and `cannot` let this word (or bool) of the member pass? */
bool slu_schema_takes_word(const struct slu_rows *rows, uint8_t slot, const struct slu_value *word);
/* Does the row say something about the slot? */
bool slu_row_has(const struct slu_row *row, uint8_t slot);
/* The object is narrowed: a bound below, a bound above, or another condition beside what stands. */
void slu_schema_least(struct slu_schema *schema, struct slu_value *object, const char *name,
                      int64_t number);
void slu_schema_most(struct slu_schema *schema, struct slu_value *object, const char *name,
                     int64_t number);
void slu_schema_also(struct slu_schema *schema, struct slu_value *object, const char *name,
                     struct slu_value *value);

#endif

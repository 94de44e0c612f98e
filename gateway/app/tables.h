/* Where mapping tables lie: the directory, and the files in it. */
#ifndef SLU_APP_TABLES_H
#define SLU_APP_TABLES_H

#include "base/fault.h"

/*
 * The directory of mapping tables: `configured` when it is not NULL. Otherwise the first of these
 * that is there: "mappings" beside the file `beside` (may be NULL), "mappings" in the current
 * directory, "../share/sluice/mappings" beside the program. NULL with a mistake at `pointer`.
 */
SLU_NODISCARD const char *slu_tables_directory(struct slu_arena *arena, const char *configured,
                                               const char *beside, const char *pointer,
                                               struct slu_mistakes *mistakes);

struct slu_table_files {
    const char **paths; /* sorted by name */
    size_t count;
};

/* Every *.json in it but schema.json (and hidden files). */
SLU_NODISCARD bool slu_tables_list(struct slu_arena *arena, const char *directory,
                                   const char *pointer, struct slu_table_files *ret_files,
                                   struct slu_mistakes *mistakes);
/* "mappings/x.json" -> "x": a table's file has its dialect's name. */
struct slu_str slu_tables_stem(const char *path);

#endif

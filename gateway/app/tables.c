/* Finding the directory of mapping tables and listing it. */
#include "app/tables.h"

#include "base/arena.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TABLES_MOST = 1000 };

static bool is_directory(const char *path)
{
    struct stat facts;

    return path && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* "/etc/sluice/sluice.json" -> "/etc/sluice/mappings"; NULL when the arena is spent. */
static const char *beside_file(struct slu_arena *arena, const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    int length = slash ? (int)(slash - file) + 1 : 0;

    return slu_arena_printf(arena, "%.*s%s", length, file, name).p;
}

static const char *installed(struct slu_arena *arena)
{
    char program[1024];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (length <= 0)
        return NULL;
    program[length] = '\0';
    return beside_file(arena, program, "../share/sluice/mappings");
}

const char *slu_tables_directory(struct slu_arena *arena, const char *configured,
                                 const char *beside, const char *pointer,
                                 struct slu_mistakes *mistakes)
{
    const char *places[] = {beside ? beside_file(arena, beside, "mappings") : NULL, "mappings",
                            installed(arena)};

    if (configured) {
        if (is_directory(configured))
            return configured;
        slu_mistake(mistakes, SLU_FAULT_CONFIG, slu_str_of(pointer),
                    "there is no directory %.200s; name the directory of mapping tables",
                    configured);
        return NULL;
    }
    for (size_t i = 0; i < SLU_COUNT(places); i++)
        if (is_directory(places[i]))
            return places[i];
    slu_mistake(mistakes, SLU_FAULT_CONFIG, slu_str_of(pointer),
                "no directory of mapping tables was found (looked for %.150s, mappings and "
                "%.150s); name it",
                places[0] ? places[0] : "mappings", places[2] ? places[2] : "mappings");
    return NULL;
}

static bool is_table(const char *name)
{
    struct slu_str text = slu_str_of(name);

    return name[0] != '.' && slu_str_ends(text, SLU_STR(".json")) &&
           !slu_str_is(text, "schema.json");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool collect(struct slu_arena *arena, DIR *open, const char *directory,
                    struct slu_table_files *files)
{
    struct dirent *entry;

    files->paths = slu_arena_zero(arena, TABLES_MOST * sizeof(*files->paths));
    while (files->paths && files->count < TABLES_MOST && (entry = readdir(open))) {
        const char *path;

        if (!is_table(entry->d_name))
            continue;
        path = slu_arena_printf(arena, "%s/%s", directory, entry->d_name).p;
        if (path)
            files->paths[files->count++] = path;
    }
    return !arena->failed;
}

bool slu_tables_list(struct slu_arena *arena, const char *directory, const char *pointer,
                     struct slu_table_files *ret_files, struct slu_mistakes *mistakes)
{
    struct slu_table_files files = {NULL, 0};
    DIR *open = opendir(directory);
    bool good;

    if (!open)
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, slu_str_of(pointer),
                           "the directory %.200s cannot be read: %s", directory, strerror(errno));
    good = collect(arena, open, directory, &files);
    closedir(open);
    if (files.count == TABLES_MOST)
        return slu_mistake(mistakes, SLU_FAULT_CONFIG, slu_str_of(pointer),
                           "the directory %.200s holds too many files", directory);
    if (!good)
        return slu_mistake(mistakes, SLU_FAULT_MEMORY, slu_str_of(pointer), "out of memory");
    qsort(files.paths, files.count, sizeof(*files.paths), by_text);
    *ret_files = files;
    return true;
}

struct slu_str slu_tables_stem(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct slu_str name = slu_str_of(slash ? slash + 1 : path);

    if (slu_str_ends(name, SLU_STR(".json")))
        name.n -= 5;
    return name;
}

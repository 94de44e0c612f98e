/*
 * The table of settings: every member that the configuration file may have, with type, bounds,
 * default, unit and help. The shape against which a file is checked, the defaults that the loader
 * uses, and `--help-config` are made from it; nothing about a setting is said twice.
 */
#ifndef SLU_APP_SETTINGS_H
#define SLU_APP_SETTINGS_H

#include "base/buf.h"
#include "codec/shape.h"

/* Alias tables have the members of the canonical flow log, which model/ knows. */
enum slu_setting_alias { SLU_SETTING_PLAIN, SLU_SETTING_RESOURCE, SLU_SETTING_DESTINATION };

/* A list of settings ends with a row whose name is NULL. */
struct slu_setting {
    const char *name;
    unsigned type; /* bits of slu_shape_type */
    bool required;
    bool restart; /* a reload does not take it over */
    int64_t min, max;
    int64_t number;       /* default of an INT or BOOL */
    const char *fallback; /* default in words, where it is no plain number */
    const char *unit;
    const char *const *words;
    const struct slu_setting *members; /* of the object, or of the objects in an array or map */
    const struct slu_shape *of;        /* what an array or map holds, where it is no object */
    enum slu_setting_alias alias;      /* the objects in the map are aliases */
    bool (*check)(const json_t *value, struct slu_str pointer, struct slu_mistakes *mistakes);
    const char *help;
};

extern const struct slu_setting slu_settings[], slu_settings_breaker[], slu_settings_limits[],
    slu_settings_log[], slu_settings_store[], slu_settings_target[];

/* The shape of a whole configuration, in the arena; NULL when that is spent. */
SLU_NODISCARD const struct slu_shape *slu_settings_shape(struct slu_arena *arena);
/* The setting's value in `object`, or its default. */
int64_t slu_setting_number(const struct slu_setting *settings, const json_t *object,
                           const char *name);
bool slu_setting_truth(const struct slu_setting *settings, const json_t *object, const char *name);

#endif

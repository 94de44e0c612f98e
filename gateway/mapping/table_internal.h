/*
 * What the files of mapping/ share: a loaded table as the compiler leaves it, and one run of it
 * over one document. Every pointer of the language is split, every word sorted and every template
 * taken apart here, so that no text of a table is interpreted after loading.
 *
 * Canonical members are addressed by slot: their position in the model's table of members.
 */
#ifndef SLU_MAPPING_TABLE_INTERNAL_H
#define SLU_MAPPING_TABLE_INTERNAL_H

#include "codec/params.h"
#include "mapping/table.h"
#include "model/flow_log.h"

#include <jansson.h>

enum {
    SLU_SLOTS_MOST = 32,
    SLU_NO_SLOT = 255,
    SLU_NAME_BUCKETS = 128,
    SLU_ROWS_MOST = 64, /* that take part in one document */
    SLU_PARTS_MOST = 8, /* of a join */
};

enum slu_codec {
    SLU_CODEC_COPY,
    SLU_CODEC_ENUM,
    SLU_CODEC_PREFIX,
    SLU_CODEC_SCALE,
    SLU_CODEC_BOOL_TEXT,
    SLU_CODEC_KV_LIST,
    SLU_CODEC_INDEXED,
    SLU_CODEC_WRAP,
    SLU_CODEC_JOIN,
    SLU_CODEC_TIME,
    SLU_CODEC_CONST,
    SLU_CODEC_PARAMETER,
    SLU_CODEC_COUNT
};

/* What another canonical member must be: this value; of a list one of them; null: absent or null;
 * the text "*": there at all. */
struct slu_condition {
    uint8_t slot;
    const struct slu_value *value;
};

struct slu_pair {
    const struct slu_value *canonical, *native; /* a string or a bool each */
    bool read, write;
    const struct slu_condition *when;
    size_t when_count;
    size_t order; /* in the file */
};

struct slu_enumeration {
    struct slu_str name;
    const struct slu_pair *pairs; /* in the file's order */
    size_t count;
    const struct slu_pair **by_canonical, **by_native; /* sorted by word, then by order */
    const struct slu_value *otherwise;                 /* NULL: none; may be a null */
    bool conditional;
};

struct slu_charset {
    uint64_t bits[4]; /* one a byte; above 127 none is ever set */
};

enum slu_text_format { SLU_FORMAT_ANY, SLU_FORMAT_UUID, SLU_FORMAT_HEX32 };

struct slu_limits {
    bool has_min, has_max;
    int64_t min, max;
    const struct slu_charset *chars, *not_chars, *first, *last;
    struct slu_str chars_text, not_chars_text, first_text, last_text;
    const struct slu_str *prefix, *not_prefix;
    size_t prefix_count, not_prefix_count;
    enum slu_text_format format;
    const int64_t *one_of;
    size_t one_of_count;
    bool has_most;
    int64_t most;
    const struct slu_limits *key, *value;
};

struct slu_piece {
    bool variable;
    struct slu_str text; /* the literal, or the variable's name */
};

struct slu_template {
    struct slu_str text; /* as written, with {action} and {api_version} filled in */
    const struct slu_piece *pieces;
    size_t count;
    bool fixed; /* has no variable */
};

struct slu_named_template {
    struct slu_str name;
    struct slu_template template;
    bool action;  /* was wholly "{action}" */
    bool checked; /* what is received must agree when it is fixed */
    bool reply;   /* holds {reply} or {REPLY} */
};

struct slu_named_templates {
    const struct slu_named_template *items;
    size_t count;
};

/* What of an update's document a step says. */
enum slu_carries { SLU_CARRIES_ALL, SLU_CARRIES_VALUES, SLU_CARRIES_NULLS };

struct slu_row {
    enum slu_codec codec;
    size_t index; /* in "fields" */
    bool requests, replies;
    uint32_t operations; /* bits */
    bool named;          /* "operations" was given */
    bool required, is_mutable, derived;
    const struct slu_condition *required_if, *default_if;
    size_t required_if_count, default_if_count;
    uint8_t slot; /* SLU_NO_SLOT: none */
    uint8_t slots[SLU_PARTS_MOST];
    size_t slot_count; /* of a join: slots[]; else 1 or 0 */
    bool has_n;
    struct slu_path n;
    const struct slu_value *fallback; /* "default" */
    const struct slu_value *clear;    /* the native value that clears; NULL: as the codec has it */
    struct slu_str clear_never;       /* why nothing clears, or empty */
    const struct slu_value *absent;   /* canonical, what a missing native member stands for */
    const struct slu_limits *limits;

    const struct slu_enumeration *words;
    int64_t factor;
    struct slu_str yes, no;
    struct slu_str key, value, one; /* one: the key that this row takes out of the list */
    bool shared;                    /* kv_list, indexed: another row takes part in this list */
    struct slu_path with;           /* const: sent only when something stands there */
    struct slu_template pattern;    /* join: variables are "0", "1" … */
    struct slu_str digits[SLU_PARTS_MOST];
    struct slu_str format;
    const struct slu_value *canonical, *native; /* const */
    struct slu_str parameter;
};

struct slu_lack {
    uint8_t slot;
    struct slu_str reason;
    bool requests, replies;
    uint32_t operations;
    const struct slu_value *const *words, *const *unless;
    size_t word_count, unless_count;
    const struct slu_condition *when;
    size_t when_count;
};

struct slu_envelope {
    struct slu_path path;
    const struct slu_value *constant; /* or */
    struct slu_template template;
};

struct slu_fail_if {
    struct slu_path path;
    const struct slu_value *value; /* NULL: anything but nothing */
};

struct slu_capture {
    struct slu_str name;
    struct slu_path member;
    struct slu_str header; /* empty: the member */
};

/* The rows of one operation and side. */
struct slu_rows {
    const struct slu_row **writing, **reading;
    size_t count;
    uint32_t covered;      /* slots that a row writes or reads */
    uint32_t fixed;        /* slots that a row has which does not take part: not mutable */
    uint32_t lacking;      /* top-level slots that the cloud lacks altogether: null in replies */
    uint32_t lacking_when; /* slots that it lacks altogether where a condition holds */
    const struct slu_lack **lacks;
    size_t lack_count;
};

/* One filter of a way: a canonical member and the cloud's name for it. */
struct slu_filter_name {
    struct slu_str pointer; /* "/name", or "/tags/{key}" */
    uint8_t slot;           /* of the member; for a tag that of all tags */
    bool tag;
    struct slu_template name;
    const struct slu_row *row; /* whose codec translates the values; NULL: they go as they are */
    const struct slu_value *const *only; /* canonical values that the cloud can filter by */
    size_t only_count;
};

/* One of the ways in which a list takes filters. */
struct slu_filter_way {
    bool numbered; /* pairs of a name and values; else the name is the parameter's */
    bool repeat;   /* a parameter may be given several times */
    struct slu_template name, value; /* of a numbered way */
    struct slu_str unsafe;           /* characters that would mean more than themselves */
    struct slu_filter_name *members;
    size_t count;
};

struct slu_filters {
    struct slu_filter_way *ways;
    size_t count;
};

/* A further call that shows a list within each flow log. */
struct slu_view_filter {
    struct slu_str name;
    struct slu_path path; /* in an item */
};
struct slu_view {
    struct slu_path of;              /* the list, in a flow log of the list's reply */
    const struct slu_envelope *item; /* members set in each item */
    size_t item_count;
    struct slu_template name, value; /* parameters of a filter's name and values */
    struct slu_str unsafe;
    struct slu_view_filter *filters;
    size_t filter_count;
};

struct slu_step {
    const struct slu_view *view; /* or NULL */
    struct slu_str method;
    const struct slu_str *also;
    size_t also_count;
    struct slu_str action;
    struct slu_template path;
    struct slu_named_templates query, headers;
    struct slu_named_templates *scheme_query, *scheme_headers; /* one a scheme */
    bool takes;                                                /* the request has a document */
    struct slu_path takes_at;
    enum slu_carries carries;
    struct slu_str xml_root; /* of its replies in XML */

    const int *status;
    size_t status_count;
    bool gives, each, echo;
    struct slu_path gives_at;
    enum slu_fault_kind absent; /* NONE: an answer without a flow log cannot be read */
    const struct slu_envelope *envelope;
    size_t envelope_count;
    const struct slu_fail_if *fail_if;
    size_t fail_if_count;
    const struct slu_condition *assume;
    size_t assume_count;
    const struct slu_capture *capture;
    size_t capture_count;
    const struct slu_paging *paging;   /* of a list, and of a get that is the same call; or NULL */
    const struct slu_filters *filters; /* of the same; or NULL */
};

struct slu_plan {
    bool served;
    struct slu_step *steps; /* and behind them the views */
    size_t step_count, view_count;
    struct slu_rows rows[2]; /* by enum slu_side */
    bool has_poll;
    struct slu_poll poll;
    struct slu_find_by find_by;
    struct slu_str undo_never;
    enum slu_operation undo;      /* SLU_OP_COUNT: none */
    struct slu_idempotency token; /* no name: none */
    struct slu_str serialize_by;
};

struct slu_error_shape {
    bool has_code, has_message, has_request_id;
    struct slu_path code, message, request_id;
    const struct slu_envelope *envelope;
    size_t envelope_count;
};

/* Text in which a star at an end stands for anything. */
struct slu_starred {
    bool there, first, last; /* is there any; does it begin or end with a star */
    struct slu_str text;     /* without the stars */
};

struct slu_error_row {
    struct slu_starred code, text; /* text: of the message */
    int status, status_x;          /* 404, or 4 for "4xx"; 0: any */
    uint32_t operations;
    bool named; /* "operations" was given */
    enum slu_fault_kind is;
    enum slu_retry retry;
    struct slu_str pointer;
    bool pass; /* the message may be shown */
    const struct slu_str *doors;
    size_t door_count;
};

struct slu_signing {
    struct slu_str name;
    json_t *headers, *query; /* templates, compiled once a step */
    const struct slu_str *own;
    size_t own_count;
    struct slu_template region, service, project; /* of the scope */
    struct slu_str reply;                         /* when a request does not say; or empty */
};

struct slu_parameter {
    const struct slu_limits *limits;
    uint8_t slot; /* of "member" */
};

/* A parameter that is refused by name, but for the values in `unless`, which are let through and
 * mean nothing. */
struct slu_refusal {
    struct slu_str name, reason;
    bool star; /* the name is a beginning */
    const struct slu_str *unless;
    size_t unless_count;
};

struct slu_case {
    struct slu_str name;
    enum slu_operation operation;
    enum slu_side side;
    const struct slu_value *canonical, *native;
    struct slu_vars vars;
    bool read, write;
};

struct slu_slot {
    const struct slu_member *member;
    struct slu_str pointer, name; /* name: the last step */
    uint8_t parent;               /* slot of the object around it, or SLU_NO_SLOT */
    bool inner;                   /* an object with members of its own */
};

struct slu_table {
    struct slu_arena arena;
    json_t *source; /* lives as long: texts point into it */
    struct slu_str dialect, title, api_version;
    struct slu_table_client *clients;
    size_t client_count;
    bool flat;                     /* request documents are lists of parameters */
    bool form;                     /* which the client role sends as a form */
    const struct slu_str *replies; /* encodings */
    size_t reply_count;
    bool xml;        /* is among them */
    bool asks_reply; /* a template holds {reply} or {REPLY} */
    struct slu_str xml_space, xml_error_root, xml_type;

    struct slu_slot slots[SLU_SLOTS_MOST];
    size_t slot_count;
    uint8_t buckets[SLU_NAME_BUCKETS];
    uint8_t native_slot;

    struct slu_table_parameter *parameters;
    struct slu_parameter *parameter_rules; /* beside them */
    size_t parameter_count;
    struct slu_named_templates headers;
    struct slu_signing *signing;
    struct slu_str *schemes;
    size_t scheme_count;
    struct slu_refusal *refusals;
    size_t refusal_count;
    const struct slu_str *request_id_headers;
    size_t request_id_header_count;
    struct slu_path *request_id_members;
    size_t request_id_member_count;
    struct slu_str retry_header;
    uint32_t retry_unit_ms; /* of retry_header: 1 or 1000 */

    struct slu_enumeration *enums;
    size_t enum_count;
    struct slu_row *rows;
    size_t row_count;
    struct slu_lack *lacks;
    size_t lack_count;
    struct slu_plan plans[SLU_OP_COUNT];
    const struct slu_paging *paging; /* of the list; NULL: not known */
    struct slu_error_shape *shapes;
    size_t shape_count;
    struct slu_error_row *errors;
    size_t error_count;
    struct slu_case *cases;
    size_t case_count;
};

/* One document on its way through one side of one operation. */
struct slu_run {
    const struct slu_table *table;
    enum slu_operation operation;
    enum slu_side side;
    const struct slu_step *step;
    const struct slu_rows *rows;
    bool flat;  /* the document is a list of parameters */
    bool xml;   /* the reply is in XML */
    bool texts; /* in either, so all values are text */
    const struct slu_vars *vars;
    struct slu_arena *arena;
    struct slu_losses *losses;
    struct slu_mistakes *mistakes;

    const struct slu_value *slots[SLU_SLOTS_MOST]; /* canonical values, given or read so far */
    struct slu_value *native;                      /* the object at `at` */
    struct slu_str base;                           /* its pointer, for mistakes */
    struct slu_str prefix;                         /* "/3": the flow log's position in a list */
    struct slu_value *unread[SLU_ROWS_MOST];       /* nodes that stay under "native" */
    size_t unread_count;
};

/* shape_of_table.c */
extern const struct slu_shape slu_table_shape;

/* table.c: the loader without the file; `name` is the dialect expected. Any text may be given. */
SLU_NODISCARD struct slu_table *slu_table_load_text(struct slu_str name, struct slu_str text,
                                                    struct slu_mistakes *mistakes);

/* compile.c: fills the table from source; what it cannot understand is a mistake. */
struct slu_compile {
    struct slu_table *table;
    struct slu_arena *arena; /* the table's */
    struct slu_mistakes *mistakes;
};
void slu_table_compile(struct slu_compile *compile);
bool slu_table_wrong(struct slu_compile *compile, struct slu_str pointer, const char *format, ...)
    SLU_PRINTF(3, 4);
struct slu_str slu_table_at(struct slu_compile *compile, const char *format, ...) SLU_PRINTF(2, 3);
uint32_t slu_table_operations(struct slu_compile *compile, const json_t *list,
                              struct slu_str pointer);
struct slu_value *slu_table_value(struct slu_compile *compile, const json_t *json);
uint8_t slu_table_slot(struct slu_compile *compile, struct slu_str pointer, struct slu_str at);
const struct slu_condition *slu_table_conditions(struct slu_compile *compile, const json_t *map,
                                                 struct slu_str at, size_t *ret_count);
struct slu_path slu_table_path(struct slu_compile *compile, struct slu_str pointer,
                               struct slu_str at);
/* An array of the table's own texts. */
const struct slu_str *slu_table_texts(struct slu_compile *compile, const json_t *list,
                                      size_t *ret_count);
void *slu_table_array(struct slu_compile *compile, size_t count, size_t size);

/* compile_rows.c, compile_steps.c, limits.c, words.c: parts of the compiler */
void slu_table_compile_rows(struct slu_compile *compile);
void slu_table_compile_lacks(struct slu_compile *compile);
void slu_table_compile_operations(struct slu_compile *compile);
void slu_table_compile_errors(struct slu_compile *compile);
void slu_table_compile_cases(struct slu_compile *compile);
void slu_table_compile_enums(struct slu_compile *compile);
const struct slu_limits *slu_limits_compile(struct slu_compile *compile, const json_t *json,
                                            struct slu_str at);
const struct slu_envelope *slu_table_envelope(struct slu_compile *compile, const json_t *map,
                                              struct slu_str at, size_t *ret_count);

/* prove.c: what loading proves, but for the cases. */
void slu_table_prove(struct slu_compile *compile);
/* Is one place in or around the other? */
bool slu_pointers_overlap(struct slu_str a, struct slu_str b);

/* paging.c and filters.c: their parts of compiling and proving. */
void slu_table_compile_paging(struct slu_compile *compile);
void slu_table_prove_paging(struct slu_compile *compile);
const char *slu_paging_style_name(enum slu_paging_style style);
const struct slu_filters *slu_filters_compile(struct slu_compile *compile, const json_t *list);
void slu_filters_prove(struct slu_compile *compile, const struct slu_step *list);

/* pages.c: one page in requests and replies, in both roles. */
/* The client's parameters for run->vars->page; false on no memory. */
SLU_NODISCARD bool slu_page_write(struct slu_run *run, struct slu_params *ret_params);
/* What a list's reply says of the pages to come; false with the reason why it makes no sense. */
SLU_NODISCARD bool slu_page_read(struct slu_run *run, const struct slu_value *body,
                                 struct slu_outcome *outcome, struct slu_str *ret_why);
/* Is this one of the parameters by which the call is asked for pages or filters? */
bool slu_page_knows(const struct slu_step *step, struct slu_str name);
/* Sets vars->page when the request says anything of pages or filters. */
SLU_NODISCARD bool slu_page_take(const struct slu_table *table, const struct slu_step *step,
                                 const struct slu_params *given, struct slu_arena *arena,
                                 struct slu_vars *vars, struct slu_fault *fault);
/* Is a single flow log on the page that was asked for? */
bool slu_page_holds(const struct slu_vars *vars, const struct slu_value *flow_log);
/* The values of {count}, {page_size} and the others that the envelope of a list may name; false
 * when there are too many variables, or no memory. */
SLU_NODISCARD bool slu_page_vars(const struct slu_run *run, uint32_t count, struct slu_vars *vars);
/* Is it one of these, and one that is a number where it stands alone? */
bool slu_page_var(struct slu_str name, bool *ret_number);
/* Refuses a parameter of a request to the server role. */
bool slu_parameter_fault(struct slu_fault *fault, struct slu_str name, const char *words);

/* filters.c */
/* Appends what the cloud can filter by; what it cannot is the caller's to apply. */
void slu_filters_write(struct slu_run *run, const struct slu_filters *filters,
                       struct slu_params *params, size_t room);
size_t slu_filters_room(const struct slu_page *page);
/* Reads the request's filters; one that is not understood is refused. */
SLU_NODISCARD bool slu_filters_read(struct slu_run *run, const struct slu_filters *filters,
                                    const struct slu_params *given, struct slu_page *page,
                                    struct slu_fault *fault);
bool slu_filters_know(const struct slu_filters *filters, struct slu_str name);
/* May this parameter be given several times? */
bool slu_filters_repeat(const struct slu_filters *filters, struct slu_str name);
/* Is it a filter by the flow log's id? */
bool slu_filters_name_id(const struct slu_filters *filters, struct slu_str name);

/* template.c */
struct slu_template slu_template_compile(struct slu_compile *compile, struct slu_str text,
                                         struct slu_str action, struct slu_str at);
struct slu_named_templates slu_named_compile(struct slu_compile *compile, const json_t *map,
                                             struct slu_str action, bool checked,
                                             struct slu_str at);
enum slu_expand { SLU_EXPAND_PLAIN, SLU_EXPAND_PERCENT };
/* The text; a NULL pointer when a variable has no value (ret_missing names it) or on no memory. */
struct slu_str slu_template_expand(struct slu_run *run, const struct slu_template *template,
                                   enum slu_expand how, struct slu_str *ret_missing);
/* Takes the variables out of received text; false when it does not fit. */
bool slu_template_match(struct slu_arena *arena, const struct slu_template *template,
                        struct slu_str text, bool percent, struct slu_vars *vars);
/* A variable's value: from the vars, or the canonical member that a parameter names. */
struct slu_str slu_run_variable(const struct slu_run *run, struct slu_str name);

/* limits.c */
/* Records what is wrong with the value (in the request); true when nothing is. */
bool slu_limits_check(const struct slu_limits *limits, const struct slu_value *value,
                      struct slu_str pointer, enum slu_fault_kind kind,
                      struct slu_mistakes *mistakes);

/* words.c */
bool slu_word_equal(const struct slu_value *word, const struct slu_value *value, bool flat);
/* The same for any constant of a table: is this what stands there? */
bool slu_constant_equal(const struct slu_value *constant, const struct slu_value *value,
                        bool texts);
bool slu_conditions_hold(const struct slu_condition *conditions, size_t count,
                         const struct slu_value *const *slots);
/* The pair with the longest native word that the text begins with; or NULL. */
const struct slu_pair *slu_words_begin(const struct slu_enumeration *words, struct slu_str text);
/* The pair that reads this native word with the canonical members known so far; or NULL. */
const struct slu_pair *slu_words_read(const struct slu_enumeration *words,
                                      const struct slu_value *native, bool flat,
                                      const struct slu_value *const *slots);
const struct slu_pair *slu_words_write(const struct slu_enumeration *words,
                                       const struct slu_value *canonical, bool flat,
                                       const struct slu_value *const *slots);

/* codecs.c: values that travel alone; NULL with a reason. */
struct slu_value *slu_codec_to_native(struct slu_run *run, const struct slu_row *row,
                                      const struct slu_value *value, struct slu_str *ret_why);
struct slu_value *slu_codec_to_canonical(struct slu_run *run, const struct slu_row *row,
                                         const struct slu_value *value, struct slu_str *ret_why);
const char *slu_codec_name(enum slu_codec codec);
bool slu_codec_of(struct slu_str name, enum slu_codec *ret_codec);
/* Does it carry one value for one? */
bool slu_codec_is_single(enum slu_codec codec);
bool slu_member_takes(const struct slu_member *member, const struct slu_value *value);
/* A join's parts out of one text; false when the text does not follow the pattern. */
bool slu_join_read(const struct slu_row *row, struct slu_str text,
                   struct slu_str parts[SLU_PARTS_MOST]);

/* run.c: slots, losses and places */
void slu_run_init(struct slu_run *run, const struct slu_table *table, enum slu_operation operation,
                  enum slu_side side, const struct slu_step *step, const struct slu_vars *vars,
                  struct slu_arena *arena, struct slu_losses *losses,
                  struct slu_mistakes *mistakes);
/* Spreads a canonical document over the slots; unknown members are mistakes unless NULL. */
void slu_run_spread(struct slu_run *run, const struct slu_value *canonical,
                    struct slu_mistakes *mistakes);
/* The slots as a canonical document. */
struct slu_value *slu_run_assemble(struct slu_run *run);
/* New nodes, the same texts. */
struct slu_value *slu_value_share(struct slu_arena *arena, const struct slu_value *value);
/* The slots of a table, from the model's members; and the one with this pointer. */
void slu_table_slots(struct slu_table *table);
uint8_t slu_slot_find(const struct slu_table *table, struct slu_str pointer);
void slu_run_lose(struct slu_run *run, struct slu_str pointer, const struct slu_value *value,
                  struct slu_str reason);
/* In a request read or written strictly a mistake, else an entry in the losses. */
void slu_run_refuse(struct slu_run *run, struct slu_str pointer, const struct slu_value *value,
                    struct slu_str reason);
/* The row's default, where its condition holds; or NULL. */
const struct slu_value *slu_row_default(const struct slu_run *run, const struct slu_row *row);
/* Does a `cannot` with a condition speak about the whole member, these members being as they are?
 */
bool slu_run_lacks(const struct slu_run *run, uint8_t slot, const struct slu_value *const *slots);
/* Is it null in this reply because of such a `cannot`? */
bool slu_run_null_here(const struct slu_run *run, uint8_t slot);
/* Like slu_path_put(), but "0" makes an array of one. */
bool slu_run_place(struct slu_arena *arena, const struct slu_path *path, struct slu_value *root,
                   struct slu_value *value);
/* The object at a path, made where it is missing. */
struct slu_value *slu_run_enter(struct slu_arena *arena, const struct slu_path *path,
                                struct slu_value *root);
const struct slu_step *slu_table_main_step(const struct slu_table *table,
                                           enum slu_operation operation, enum slu_side side);
bool slu_run_clearing(const struct slu_run *run); /* only what is cleared travels here */
/* How an update says the null of this row's member. NULL: it cannot be cleared. */
const struct slu_value *slu_row_clears(const struct slu_table *table, const struct slu_row *row);
/* Does the update set with one call and clear with another? */
bool slu_table_in_parts(const struct slu_table *table);
bool slu_index_step(struct slu_str step);

/* errors.c: an answer in which the one flow log is not there, as the dialect says that. */
struct slu_value *slu_run_absence(struct slu_run *run);

/* write.c: is the value one of these? */
bool slu_value_listed(const struct slu_value *const *values, size_t count,
                      const struct slu_value *value);

/* write.c and read.c: one flow log, canonical in run->slots and native in run->native. */
void slu_run_write(struct slu_run *run, const struct slu_value *canonical);
void slu_run_read(struct slu_run *run, struct slu_value *native);
/* Whole documents. */
struct slu_value *slu_run_write_document(struct slu_run *run, const struct slu_value *canonical);
/* The canonical document: an object, or for lists an array. NULL with mistakes, or when there is
 * nothing at the step's place (ret_nothing). */
struct slu_value *slu_run_read_document(struct slu_run *run, const struct slu_value *native,
                                        bool *ret_nothing);
/* What the table says holds after this reply, where it said nothing. */
void slu_run_assume(struct slu_run *run);
void slu_run_fill_lacking(struct slu_run *run);
/* One flow log into the slots; false with mistakes. */
bool slu_run_read_slots(struct slu_run *run, const struct slu_value *native);
void slu_run_envelope(struct slu_run *run, const struct slu_envelope *envelope, size_t count,
                      struct slu_value *root);
/* The members around a document that holds so many flow logs. */
void slu_run_surround(struct slu_run *run, uint32_t count, struct slu_value *root);
/* Is the name of a parameter filled by a template, or the signing scheme's own? */
bool slu_step_fills(const struct slu_table *table, const struct slu_step *step,
                    struct slu_str name);
/* The same, or does it ask for a page? */
bool slu_step_knows(const struct slu_table *table, const struct slu_step *step,
                    struct slu_str name);
/* Does a row with `one` take this key out of the list that the row shares? */
bool slu_key_taken(const struct slu_run *run, const struct slu_row *row, struct slu_str key);
/* Do the rows take parts of one list of keys and values? */
bool slu_rows_share(const struct slu_row *a, const struct slu_row *b);
/* The number N of a member "PREFIX.N.REST" of a parameter list; 0 when it is none. */
size_t slu_indexed_number(struct slu_str prefix, struct slu_str name, struct slu_str *ret_rest);

/* encoding.c: documents as bytes. */
void slu_table_compile_encoding(struct slu_compile *compile);
void slu_table_prove_encoding(struct slu_compile *compile);
/* The root of a step's replies in XML. */
struct slu_str slu_encoding_root(struct slu_compile *compile, struct slu_str action);
/* The value of {reply} and {REPLY}; NULL p: another name. */
struct slu_str slu_reply_variable(const struct slu_run *run, struct slu_str name);
/* The encoding of this name, as the table spells it; NULL p: it has none such. */
struct slu_str slu_reply_named(const struct slu_table *table, struct slu_str name);
/* A run over a reply in XML or JSON; slu_run_init() goes by the var `reply`. */
void slu_run_speak(struct slu_run *run, bool xml);
/* A reply's body as a tree, in the encoding that it is in; NULL with what is wrong with it.
 * `ret_root` is the root element's name. */
struct slu_value *slu_reply_parse(struct slu_run *run, struct slu_str body,
                                  struct slu_str *ret_root, struct slu_str *ret_why);
/* Makes a tree that was XML what the table's pointers and codecs expect: arrays and objects. */
void slu_run_shape(struct slu_run *run, struct slu_value *root);
/* The body of an answer, and the head's word for what it is. */
bool slu_reply_write(struct slu_run *run, const struct slu_value *body,
                     struct slu_response *response, struct slu_fault *fault);

/* views.c */
const struct slu_view *slu_view_compile(struct slu_compile *compile, const json_t *json,
                                        const struct slu_step *step, struct slu_str at);
bool slu_view_knows(const struct slu_view *view, struct slu_str name);
/* What the request asks of the items, into vars->view; or a fault in "parameter". */
bool slu_view_take(const struct slu_view *view, const struct slu_params *given,
                   struct slu_arena *arena, struct slu_vars *vars, struct slu_fault *fault);
struct slu_value *slu_view_document(struct slu_run *run, const struct slu_value *canonical);

/* refusals.c */
void slu_table_compile_refusals(struct slu_compile *compile);
/* The refusal of a parameter that the call does not read itself; or NULL. */
const struct slu_refusal *slu_refusal_of(const struct slu_table *table, const struct slu_step *step,
                                         const struct slu_rows *rows, struct slu_str name);
bool slu_refusal_lets(const struct slu_refusal *refusal, struct slu_str value);
/* Refuses, or takes out what means nothing. */
bool slu_refusals_take(const struct slu_table *table, const struct slu_step *step,
                       const struct slu_rows *rows, struct slu_value *parameters,
                       struct slu_fault *fault);

/* text.c: text of a document in the arena. */
struct slu_str slu_json_text(struct slu_arena *arena, const struct slu_value *value);

#endif

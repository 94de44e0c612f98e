/* The shape of a mapping table, from the inside out. mappings/schema.json says the same for
 * editors; a test compares the two. */
#include "codec/shape.h"
#include "mapping/table_internal.h"

#define OBJECT(name, list)                                                                         \
    static const struct slu_shape name = {.type = SLU_SHAPE_OBJECT, .members = list}
#define MAP_OF(name, shape)                                                                        \
    static const struct slu_shape name = {.type = SLU_SHAPE_MAP, .of = &shape}
#define LIST_OF(name, shape, least)                                                                \
    static const struct slu_shape name = {.type = SLU_SHAPE_ARRAY, .of = &shape, .min = least}
#define WORDS(name, ...)                                                                           \
    static const char *const name##_words[] = {__VA_ARGS__, NULL};                                 \
    static const struct slu_shape name = {.type = SLU_SHAPE_STRING, .words = name##_words}

/* clang-format off */
static const struct slu_shape integer = {.type = SLU_SHAPE_INT};
static const struct slu_shape natural = {.type = SLU_SHAPE_INT, .min = 0, .max = INT32_MAX};
static const struct slu_shape positive = {.type = SLU_SHAPE_INT, .min = 1, .max = INT32_MAX};
static const struct slu_shape scalar = {.type = SLU_SHAPE_STRING | SLU_SHAPE_INT | SLU_SHAPE_BOOL};
static const struct slu_shape maybe_word = {.type = SLU_SHAPE_STRING | SLU_SHAPE_BOOL | SLU_SHAPE_NULL};
static const struct slu_shape object = {.type = SLU_SHAPE_MAP};
LIST_OF(texts, slu_shape_text, 1);
LIST_OF(integers, integer, 1);
LIST_OF(scalars, scalar, 1);
MAP_OF(templates, slu_shape_string);
MAP_OF(envelope, scalar);
MAP_OF(truths, scalar);
static const struct slu_shape condition = {.type = SLU_SHAPE_STRING | SLU_SHAPE_INT | SLU_SHAPE_BOOL | SLU_SHAPE_NULL | SLU_SHAPE_ARRAY, .of = &scalar, .min = 1};
MAP_OF(conditions, condition);
static const struct slu_shape text_or_texts = {.type = SLU_SHAPE_STRING | SLU_SHAPE_ARRAY, .of = &slu_shape_text, .min = 1};

WORDS(direction, "request", "reply", "both");
WORDS(operation_word, "create", "get", "list", "update", "enable", "disable", "delete");
WORDS(codec_word, "copy", "enum", "prefix", "scale", "bool_text", "kv_list", "indexed", "wrap", "join", "time", "const", "parameter");
WORDS(text_format, "uuid", "hex32");
WORDS(encoding_in, "json", "query", "form");
WORDS(encoding_out, "json", "xml");
WORDS(time_unit, "ms", "s");
WORDS(retry_word, "no", "yes", "after");
WORDS(message_word, "pass", "withhold");
WORDS(side_word, "request", "reply");
WORDS(one_way, "read", "write");
WORDS(carries_word, "values", "nulls");
WORDS(paging_style, "marker", "page", "token");
WORDS(beyond_word, "refuse", "cut");
LIST_OF(operation_words, operation_word, 1);
LIST_OF(encodings_out, encoding_out, 1);

static const struct slu_shape_member text_limit_members[] = {
    {"min", false, &natural}, {"max", false, &natural}, {"chars", false, &slu_shape_text},
    {"not_chars", false, &slu_shape_text}, {"first", false, &slu_shape_text},
    {"last", false, &slu_shape_text}, {"prefix", false, &texts}, {"not_prefix", false, &texts},
    {"format", false, &text_format}, {NULL, false, NULL}};
OBJECT(text_limits, text_limit_members);

static const struct slu_shape_member limit_members[] = {
    {"min", false, &integer}, {"max", false, &integer}, {"chars", false, &slu_shape_text},
    {"not_chars", false, &slu_shape_text}, {"first", false, &slu_shape_text},
    {"last", false, &slu_shape_text}, {"prefix", false, &texts}, {"not_prefix", false, &texts},
    {"format", false, &text_format}, {"one_of", false, &integers}, {"most", false, &natural},
    {"key", false, &text_limits}, {"value", false, &text_limits}, {NULL, false, NULL}};
OBJECT(limits, limit_members);

static const struct slu_shape_member valid_members[] = {
    {"from", true, &slu_shape_text}, {"until", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(valid, valid_members);

static const struct slu_shape_member parameter_members[] = {
    {"required", false, &slu_shape_bool}, {"limits", false, &text_limits},
    {"member", false, &slu_shape_text}, {"help", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(parameter, parameter_members);
MAP_OF(parameters, parameter);

static const struct slu_shape_member scope_members[] = {
    {"region", false, &slu_shape_text}, {"service", false, &slu_shape_text},
    {"project", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(scope, scope_members);

static const struct slu_shape_member signing_members[] = {
    {"scheme", true, &slu_shape_text}, {"headers", false, &templates},
    {"query", false, &templates}, {"own", false, &texts}, {"scope", false, &scope},
    {"reply", false, &encoding_out}, {NULL, false, NULL}};
OBJECT(signing, signing_members);
LIST_OF(signings, signing, 0);

static const struct slu_shape_member request_id_members[] = {
    {"headers", false, &texts}, {"members", false, &texts}, {NULL, false, NULL}};
OBJECT(request_id, request_id_members);

static const struct slu_shape_member retry_after_members[] = {
    {"header", true, &slu_shape_text}, {"unit", true, &time_unit}, {NULL, false, NULL}};
OBJECT(retry_after, retry_after_members);

static const struct slu_shape_member xml_members[] = {
    {"root", true, &slu_shape_text}, {"error_root", true, &slu_shape_text},
    {"namespace", false, &slu_shape_text}, {"type", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(xml, xml_members);

static const struct slu_shape_member refusal_members[] = {
    {"parameter", true, &slu_shape_text}, {"reason", true, &slu_shape_text},
    {"unless", false, &texts}, {NULL, false, NULL}};
OBJECT(refusal, refusal_members);
LIST_OF(refusals, refusal, 1);

static const struct slu_shape_member transport_members[] = {
    {"endpoint", true, &slu_shape_text}, {"request", true, &encoding_in},
    {"reply", true, &encodings_out}, {"xml", false, &xml}, {"parameters", false, &parameters},
    {"headers", false, &templates}, {"signing", false, &signings},
    {"refuse", false, &refusals},
    {"request_id", false, &request_id}, {"retry_after", false, &retry_after}, {NULL, false, NULL}};
OBJECT(transport, transport_members);

static const struct slu_shape pair = {.type = SLU_SHAPE_ARRAY, .min = 2, .max = 3};
LIST_OF(pairs, pair, 1);
static const struct slu_shape_member enum_members[] = {
    {"pairs", true, &pairs}, {"otherwise", false, &maybe_word}, {NULL, false, NULL}};
OBJECT(enumeration, enum_members);
MAP_OF(enums, enumeration);

static const struct slu_shape_member clear_members[] = {
    {"never", true, &slu_shape_text}, {NULL, false, NULL}};
static const struct slu_shape clear = {.type = SLU_SHAPE_STRING | SLU_SHAPE_NULL | SLU_SHAPE_OBJECT, .members = clear_members};
static const struct slu_shape_member row_members[] = {
    {"c", false, &text_or_texts}, {"n", false, &slu_shape_text}, {"codec", false, &codec_word},
    {"direction", false, &direction}, {"operations", false, &operation_words},
    {"required", false, &slu_shape_bool}, {"required_if", false, &conditions},
    {"default", false, &scalar}, {"default_if", false, &conditions},
    {"absent", false, &scalar}, {"limits", false, &limits}, {"mutable", false, &slu_shape_bool},
    {"clear", false, &clear}, {"derived", false, &slu_shape_bool}, {"source", false, &text_or_texts},
    {"enum", false, &slu_shape_text}, {"factor", false, &positive}, {"true", false, &slu_shape_text},
    {"false", false, &slu_shape_text}, {"key", false, &slu_shape_text},
    {"value", false, &slu_shape_text}, {"one", false, &slu_shape_text},
    {"with", false, &slu_shape_text}, {"pattern", false, &slu_shape_text},
    {"format", false, &slu_shape_text}, {"canonical", false, &scalar}, {"native", false, &scalar},
    {"parameter", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(row, row_members);
LIST_OF(rows, row, 1);

static const struct slu_shape_member lack_members[] = {
    {"c", true, &slu_shape_text}, {"reason", true, &slu_shape_text}, {"words", false, &scalars},
    {"direction", false, &direction}, {"operations", false, &operation_words},
    {"unless", false, &scalars}, {"when", false, &conditions}, {NULL, false, NULL}};
OBJECT(lack, lack_members);
LIST_OF(lacks, lack, 0);

static const struct slu_shape_member takes_members[] = {
    {"at", true, &slu_shape_string}, {NULL, false, NULL}};
OBJECT(takes, takes_members);

static const struct slu_shape http_status = {.type = SLU_SHAPE_INT, .min = 200, .max = 599};
LIST_OF(statuses, http_status, 1);
static const struct slu_shape fail_if_pair = {.type = SLU_SHAPE_ARRAY, .of = &scalar, .min = 1, .max = 2};
LIST_OF(fail_if, fail_if_pair, 1);
static const struct slu_shape_member reply_members[] = {
    {"status", true, &statuses}, {"at", false, &slu_shape_string}, {"each", false, &slu_shape_text},
    {"absent", false, &slu_shape_text}, {"envelope", false, &envelope}, {"fail_if", false, &fail_if},
    {"echo", false, &slu_shape_bool}, {"assume", false, &truths}, {NULL, false, NULL}};
OBJECT(reply, reply_members);

static const struct slu_shape_member capture_members[] = {
    {"member", false, &slu_shape_text}, {"header", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(capture, capture_members);
MAP_OF(captures, capture);

static const struct slu_shape_member step_members[] = {
    {"method", true, &slu_shape_text}, {"also", false, &texts}, {"path", true, &slu_shape_text},
    {"action", false, &slu_shape_text}, {"query", false, &templates}, {"headers", false, &templates},
    {"request", false, &takes}, {"carries", false, &carries_word}, {"reply", true, &reply}, {"capture", false, &captures}, {NULL, false, NULL}};
OBJECT(step, step_members);
LIST_OF(steps, step, 1);

static const struct slu_shape_member poll_members[] = {
    {"resource", true, &operation_word}, {"done", true, &texts}, {"failed", false, &texts},
    {"first_ms", true, &natural}, {"every_ms", true, &positive}, {"limit_ms", true, &positive}, {NULL, false, NULL}};
OBJECT(poll, poll_members);

static const struct slu_shape_member find_by_members[] = {
    {"operation", false, &operation_word}, {"match", false, &texts},
    {"visible_after_ms", false, &natural}, {"never", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(find_by, find_by_members);

static const struct slu_shape_member undo_members[] = {
    {"operation", false, &operation_word}, {"never", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(undo, undo_members);

static const struct slu_shape_member token_members[] = {
    {"header", false, &slu_shape_text}, {"query", false, &slu_shape_text},
    {"max", true, &positive}, {NULL, false, NULL}};
OBJECT(token, token_members);

static const struct slu_shape_member paging_request_members[] = {
    {"size", false, &slu_shape_text}, {"marker", false, &slu_shape_text},
    {"page", false, &slu_shape_text}, {"token", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(paging_request, paging_request_members);

static const struct slu_shape_member paging_reply_members[] = {
    {"next", false, &slu_shape_text}, {"total", false, &slu_shape_text},
    {"page", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(paging_reply, paging_reply_members);

static const struct slu_shape_member paging_members[] = {
    {"style", true, &paging_style}, {"request", true, &paging_request},
    {"reply", false, &paging_reply}, {"min", false, &positive}, {"max", false, &positive},
    {"default", false, &positive}, {"beyond", false, &beyond_word}, {"sized", false, &slu_shape_bool},
    {"source", false, &text_or_texts}, {NULL, false, NULL}};
OBJECT(paging, paging_members);

static const struct slu_shape_member filter_name_members[] = {
    {"name", true, &slu_shape_text}, {"only", true, &scalars}, {NULL, false, NULL}};
static const struct slu_shape filter_name = {
    .type = SLU_SHAPE_STRING | SLU_SHAPE_OBJECT, .min = 1, .members = filter_name_members};
MAP_OF(filter_names, filter_name);
static const struct slu_shape_member filter_way_members[] = {
    {"members", true, &filter_names}, {"name", false, &slu_shape_text}, {"value", false, &slu_shape_text},
    {"repeat", false, &slu_shape_bool}, {"unsafe", false, &slu_shape_text},
    {"source", false, &text_or_texts}, {NULL, false, NULL}};
OBJECT(filter_way, filter_way_members);
LIST_OF(filters, filter_way, 1);

MAP_OF(pointers, slu_shape_text);
static const struct slu_shape_member view_filters_members[] = {
    {"name", true, &slu_shape_text}, {"value", true, &slu_shape_text},
    {"unsafe", false, &slu_shape_text}, {"members", true, &pointers}, {NULL, false, NULL}};
OBJECT(view_filters, view_filters_members);
static const struct slu_shape_member view_members[] = {
    {"method", true, &slu_shape_text}, {"also", false, &texts}, {"path", true, &slu_shape_text},
    {"action", false, &slu_shape_text}, {"query", false, &templates}, {"headers", false, &templates},
    {"reply", true, &reply}, {"of", true, &slu_shape_text}, {"item", false, &envelope},
    {"filters", false, &view_filters}, {"source", false, &text_or_texts}, {NULL, false, NULL}};
OBJECT(view, view_members);
LIST_OF(views, view, 1);

static const struct slu_shape_member operation_members[] = {
    {"steps", true, &steps}, {"views", false, &views}, {"paging", false, &paging}, {"filters", false, &filters}, {"poll", false, &poll}, {"find_by", false, &find_by},
    {"undo", false, &undo}, {"token", false, &token}, {"serialize_by", false, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(operation, operation_members);

static const struct slu_shape_member operations_members[] = {
    {"create", false, &operation}, {"get", false, &operation}, {"list", false, &operation},
    {"update", false, &operation}, {"enable", false, &operation}, {"disable", false, &operation},
    {"delete", false, &operation}, {NULL, false, NULL}};
OBJECT(operations, operations_members);

static const struct slu_shape_member error_shape_members[] = {
    {"code", false, &slu_shape_text}, {"message", false, &slu_shape_text},
    {"request_id", false, &slu_shape_text}, {"envelope", false, &envelope}, {NULL, false, NULL}};
OBJECT(error_shape, error_shape_members);
LIST_OF(error_shapes, error_shape, 1);

static const struct slu_shape status_or_class = {.type = SLU_SHAPE_STRING | SLU_SHAPE_INT};
static const struct slu_shape_member error_members[] = {
    {"code", false, &slu_shape_text}, {"text", false, &slu_shape_text}, {"status", false, &status_or_class},
    {"operations", false, &operation_words}, {"is", true, &slu_shape_text},
    {"retry", false, &retry_word}, {"pointer", false, &slu_shape_text},
    {"message", false, &message_word}, {"door", false, &text_or_texts},
    {"source", false, &text_or_texts}, {NULL, false, NULL}};
OBJECT(error, error_members);
LIST_OF(errors, error, 0);

static const struct slu_shape document = {.type = SLU_SHAPE_MAP | SLU_SHAPE_ARRAY};
static const struct slu_shape_member case_members[] = {
    {"name", true, &slu_shape_text}, {"source", false, &text_or_texts},
    {"operation", true, &operation_word}, {"side", true, &side_word},
    {"canonical", true, &document}, {"native", true, &object}, {"vars", false, &templates},
    {"only", false, &one_way}, {NULL, false, NULL}};
OBJECT(example, case_members);
LIST_OF(cases, example, 0);

static const struct slu_shape source = {.type = SLU_SHAPE_STRING | SLU_SHAPE_MAP};
MAP_OF(sources, source);

static const struct slu_shape_member client_members[] = {
    {"name", true, &slu_shape_text}, {"how", true, &slu_shape_text}, {NULL, false, NULL}};
OBJECT(client, client_members);
LIST_OF(clients, client, 0);

static const struct slu_shape_member table_members[] = {
    {"dialect", true, &slu_shape_text}, {"title", true, &slu_shape_text},
    {"version", true, &positive}, {"api_version", true, &slu_shape_text},
    {"valid", false, &valid}, {"sources", false, &sources}, {"clients", false, &clients}, {"transport", true, &transport},
    {"enums", false, &enums}, {"fields", true, &rows}, {"cannot", false, &lacks},
    {"operations", true, &operations}, {"error_shapes", true, &error_shapes},
    {"errors", true, &errors}, {"cases", false, &cases}, {NULL, false, NULL}};
/* clang-format on */
const struct slu_shape slu_table_shape = {.type = SLU_SHAPE_OBJECT, .members = table_members};

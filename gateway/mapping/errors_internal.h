/* What reading replies and answering as a server share about errors. */
#ifndef SLU_MAPPING_ERRORS_INTERNAL_H
#define SLU_MAPPING_ERRORS_INTERNAL_H

#include "mapping/table_internal.h"

enum { SLU_VENDOR_WORD = 128, SLU_VENDOR_MESSAGE = 500 };

/* Text from a cloud made safe to show: at most this many characters, control characters as blanks.
 */
struct slu_str slu_plain_text(struct slu_arena *arena, struct slu_str text, size_t most);
/* Fills kind, retry, vendor code and message, pointer and words. `body` may be NULL. */
void slu_errors_read(const struct slu_table *table, enum slu_operation operation, int status,
                     const struct slu_value *body, struct slu_arena *arena,
                     struct slu_outcome *outcome);
/* door.c: the body's text and the head of an answer. */
bool slu_response_seal(struct slu_run *run, const struct slu_value *body,
                       struct slu_response *response, struct slu_response *ret_response,
                       struct slu_fault *fault);

#endif

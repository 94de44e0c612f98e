/* The operations' words, both ways. */
#include "test.h"

#include "model/operation.h"

static void names_are_read_back(void **state)
{
    (void)state;
    for (int i = 0; i < SLU_OP_COUNT; i++) {
        enum slu_operation back = SLU_OP_COUNT;

        assert_true(slu_operation_of(slu_str_of(slu_operation_name((enum slu_operation)i)), &back));
        assert_int_equal(back, i);
    }
}

static void unknown_words_are_refused(void **state)
{
    static const char *const words[] = {"", "Create", "creates", "creat", "patch"};
    enum slu_operation operation;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        assert_false(slu_operation_of(slu_str_of(words[i]), &operation));
}

static void only_get_and_list_read(void **state)
{
    (void)state;
    for (int i = 0; i < SLU_OP_COUNT; i++)
        assert_int_equal(slu_operation_writes((enum slu_operation)i),
                         i != SLU_OP_GET && i != SLU_OP_LIST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(unknown_words_are_refused),
        cmocka_unit_test(only_get_and_list_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Forced into every file under gcc: the functions of C that this house does not use. */
#ifndef SLU_BASE_BAN_H
#define SLU_BASE_BAN_H

#if defined(__GNUC__) && !defined(__clang__)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll atof
#pragma GCC poison tmpnam mktemp
#endif

#endif

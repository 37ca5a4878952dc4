// SPDX-License-Identifier: Apache-2.0
//
// Help about the program and its commands, and the manual page, both from commands.def.
#pragma once

#include <stdio.h>

struct cli;

void help_program(FILE *to);                       // reeve --help
void help_manual(FILE *to);                        // reeve --manual: a page for man
int help_command(struct cli *c, const char *name); // one command; returns enum cli_exit

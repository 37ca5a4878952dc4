// SPDX-License-Identifier: Apache-2.0
//
// `reeve-bench bare`: the limit that a server is compared with. One thread, epoll, no tree: each
// frame gets a fixed reply of the size that a real one has. With --log, each write is appended to a
// file of zero-filled blocks, and one fdatasync per wake-up comes before any answer of that
// wake-up. It does the system calls that no server can do without, and next to nothing else.
#pragma once

// Takes the arguments after `bare`; serves until SIGTERM or SIGINT. Returns the exit status.
int bare_main(int argc, char **argv);

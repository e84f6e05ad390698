// Package bpf holds the programs that run in the kernel: their source in src, the
// compiled objects and Go bindings that bpf2go made of it, and the only
// conversions between Go's and the wire's byte order (wire.go).
//
// The objects are committed: building lbctl needs no compiler. After a change in
// src run `go generate ./bpf`; it needs clang-19, llvm-strip-19 and libbpf's headers.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type endpoint -type bucket -type service -type address_row -type port_range -type slot -type owners -type replica -type short_replica -type shared_hop -type flow_count -type hop -type hop_state -type rev_nat -type records -type replica_state -type service_flag -type rev_nat_flag -type lb_mode -type fragment_line -type fib_entry -type setting -type source_range -type rate_state -type token_bucket -type sample -type sample_filter -type count -type lb_reason -type lb_hash -type operand Lb src/lb.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type sighting -type seen -type sight -type sample Observe src/observe.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel Steer src/steer.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type loss_key -type loss -type loss_cause Losses src/losses.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type address -type policy -type count -type decap_reason Decap src/decap.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -cflags "-O2 -g -mcpu=v3 -fno-strict-aliasing -Wall -Wextra -Werror -Wno-unused-parameter -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu" -no-global-types -target bpfel -type target Check src/check.bpf.c
//go:generate go run ./digest

package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"lbctl/control/config"
	"lbctl/lb"
)

// environment is all that a command touches outside its own memory, files aside.
type environment struct {
	// ctx ends at Ctrl-C or SIGTERM.
	ctx    context.Context
	args   []string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	clock  clock
	// kernel is where packets are forwarded.
	kernel kernel
}

// kernel opens and removes what forwards packets in the network namespace of the process.
type kernel interface {
	// open takes over what is pinned in dir, or makes it. Errors: those of datapath.Open;
	// lb.ErrConflict when another daemon has dir.
	open(ctx context.Context, dir string, d config.Datapath, log *slog.Logger) (lb.Dataplane, error)
	// purge removes what is pinned in dir. Errors: lb.ErrConflict when a daemon has it.
	purge(dir string) error
}

// system is the environment of a process. The second Ctrl-C kills it.
func system() environment {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return environment{
		ctx: ctx, args: os.Args[1:], getenv: os.Getenv, kernel: xdp{},
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	}
}

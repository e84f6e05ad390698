package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Emulator is the program that is QEMU, Package the Debian package that has it.
const (
	Emulator = "qemu-system-x86_64"
	Package  = "qemu-system-x86"
)

// ErrMissing is wrapped by errors that say that something is not on this machine, and
// may not or cannot be fetched.
var ErrMissing = errors.New("not there")

// emulator returns QEMU's path; where it is missing it is installed, if allowed.
func emulator(ctx context.Context, config Config) (string, error) {
	if path, err := exec.LookPath(Emulator); err == nil {
		return path, nil
	}
	if !config.Install {
		return "", fmt.Errorf("find %s: %w: install it (apt-get install %s), or allow to", Emulator, ErrMissing, Package)
	}
	config.Step("install " + Package)
	config.Log.Info("install a package", "package", Package, "for", Emulator)
	// Another run may be installing it at this moment: wait for its lock.
	install := []string{"apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "-qq", "--no-install-recommends", Package}
	if err := tool(ctx, install...); err != nil {
		// Perhaps the lists of packages are old or were never fetched.
		if err := tool(ctx, "apt-get", "update", "-qq"); err != nil {
			return "", fmt.Errorf("install %s: %w: %w", Package, ErrMissing, err)
		}
		if err := tool(ctx, install...); err != nil {
			return "", fmt.Errorf("install %s: %w: %w", Package, ErrMissing, err)
		}
	}
	return exec.LookPath(Emulator)
}

// tool runs a program to its end. Its error quotes the last of what it said.
func tool(ctx context.Context, args ...string) error {
	_, err := ask(ctx, "", args...)
	return err
}

// ask runs a program in a folder, the present one if "", and returns its output.
func ask(ctx context.Context, folder string, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Stdout, c.Stderr = folder, &out, &said
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", args[0], err, tail(said.Bytes()))
	}
	return out.Bytes(), nil
}

// tail returns the last lines of what a program said.
func tail(said []byte) []byte {
	const most = 2000
	said = bytes.TrimSpace(said)
	return said[max(0, len(said)-most):]
}

package vm

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"strings"

	"lbctl/testbed/vm/guest"
)

// initName is the guest's only program.
const initName = "lbctl"

// writeInitramfs writes the guest's root file system: the program and what it is linked to, the
// modules, and empty folders to mount things on. It is not compressed: to the guest a copy
// costs less than the unpacking.
func writeInitramfs(to *os.File, program string, modules []module) error {
	w := bufio.NewWriterSize(to, 1<<20)
	a := &archive{w: w}
	for _, folder := range []string{"dev", "proc", "sys", "tmp", strings.Trim(guest.Modules, "/")} {
		a.folder(folder)
	}
	a.device("dev/console", 5, 1)
	a.device("dev/null", 1, 3) // the Go runtime wants three open descriptors
	for i, m := range modules {
		a.file(fmt.Sprintf("%s/%02d-%s.ko", strings.Trim(guest.Modules, "/"), i, m.name), 0o644, m.content)
	}
	if err := addProgram(a, program); err != nil {
		return err
	}
	if err := a.close(); err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	return nil
}

// addProgram adds a program under initName, and, if it is not static, its libraries.
func addProgram(a *archive, program string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read program of the guest: %w", err)
	}
	a.file(initName, 0o755, content)
	libraries, err := libraries(content)
	if err != nil {
		return fmt.Errorf("read program of the guest: %w", err)
	}
	made := map[string]bool{}
	for _, library := range libraries {
		content, err := os.ReadFile(library)
		if err != nil {
			return fmt.Errorf("read library of the guest's program: %w", err)
		}
		addFolders(a, path.Dir(library), made)
		a.file(strings.TrimPrefix(library, "/"), 0o755, content)
	}
	return nil
}

// addFolders adds a folder and those above it, each once.
func addFolders(a *archive, folder string, made map[string]bool) {
	if folder == "/" || made[folder] {
		return
	}
	addFolders(a, path.Dir(folder), made)
	made[folder] = true
	a.folder(strings.TrimPrefix(folder, "/"))
}

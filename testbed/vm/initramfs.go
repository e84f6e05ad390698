package vm

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"lbctl/testbed/vm/guest"
)

// initName is the guest's first process.
const initName = "lbctl"

// writeInitramfs writes the guest's root file system: the programs and what they are linked to, the
// modules, other files, and empty folders to mount things on. It is not compressed: to the guest a copy
// costs less than the unpacking.
func writeInitramfs(to *os.File, modules []module, config Config) error {
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
	for _, name := range slices.Sorted(maps.Keys(config.Files)) {
		a.file(name, 0o644, config.Files[name])
	}
	made := map[string]bool{}
	if err := addProgram(a, initName, config.Program, made); err != nil {
		return err
	}
	for _, program := range config.Programs {
		if err := addProgram(a, path.Base(program), program, made); err != nil {
			return err
		}
	}
	if err := a.close(); err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write initramfs: %w", err)
	}
	return nil
}

// addProgram adds a program under a name, and, if it is not static, its libraries. What was made is there already.
func addProgram(a *archive, name, program string, made map[string]bool) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read program of the guest: %w", err)
	}
	a.file(name, 0o755, content)
	libraries, err := libraries(content)
	if err != nil {
		return fmt.Errorf("read program of the guest: %w", err)
	}
	for _, library := range libraries {
		if made[library] {
			continue
		}
		made[library] = true
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

// archive writes a cpio archive in the format "newc", which the kernel unpacks as its first root
// file system (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). The first
// error stays, and is returned by close.
type archive struct {
	w     io.Writer
	inode int
	err   error
}

// align is where headers and contents begin.
const align = 4

// entry is a file of an archive: name without a leading slash, mode with the type, contents.
type entry struct {
	name         string
	mode         uint32
	major, minor uint32
	content      []byte
}

func (a *archive) folder(name string) { a.add(entry{name: name, mode: unix.S_IFDIR | 0o755}) }

func (a *archive) file(name string, mode uint32, content []byte) {
	a.add(entry{name: name, mode: unix.S_IFREG | mode, content: content})
}

func (a *archive) device(name string, major, minor uint32) {
	a.add(entry{name: name, mode: unix.S_IFCHR | 0o600, major: major, minor: minor})
}

// close ends the archive.
func (a *archive) close() error {
	a.add(entry{name: "TRAILER!!!"})
	return a.err
}

func (a *archive) add(e entry) {
	a.inode++
	name := e.name + "\x00"
	// magic, inode, mode, uid, gid, links, mtime, size, device of the file, device
	// that it is, length of the name, checksum (which newc has not)
	header := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.inode, e.mode, 0, 0, 1, 0, len(e.content), 0, 0, e.major, e.minor, len(name), 0)
	a.write([]byte(header + name))
	a.pad(len(header) + len(name))
	a.write(e.content)
	a.pad(len(e.content))
}

func (a *archive) pad(length int) { a.write(make([]byte, -length&(align-1))) }

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}

package vm

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

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

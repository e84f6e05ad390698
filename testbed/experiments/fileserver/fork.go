package fileserver

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// buffer is what a conversation needs: the name of the file that a client asks for, and a page of its content.
type buffer struct {
	name [64]byte
	page [4096]byte
}

// everySignal is the set of all signals.
var everySignal = ^uint64(0)

// fork makes a copy of this process, which handles a client and ends; it returns the copy's number to the parent. It is
// fork(2) itself, as clone(2) makes it without flags.
//
// Go has no fork of its own, because a copy of a process has only the thread that called: the copy of Go's runtime
// waits for other threads, which do not exist in it. So the copy makes nothing but raw system calls, as package syscall
// does between fork and exec: no allocation, no growing stack, no scheduler, no signal.
//
//go:norace
//go:nosplit
func fork(listener, connection, disk int, b *buffer) (pid uintptr, failed syscall.Errno) {
	var before uint64
	setSignals(&everySignal, &before)
	pid, _, failed = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if pid == 0 && failed == 0 {
		syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(listener), 0, 0) // the parent's part
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, converse(connection, disk, b), 0, 0)
	}
	setSignals(&before, nil)
	return pid, failed
}

// setSignals sets which signals this thread does not take, and returns those before in was.
//
//go:norace
//go:nosplit
func setSignals(to, was *uint64) {
	syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(was)), unsafe.Sizeof(*to), 0, 0)
}

// converse reads names of files from a connection, each ended by a newline, and writes what a file holds, until the
// client has no more to ask. Every call blocks. It returns 0, or 1 if one failed.
//
//go:norace
//go:nosplit
func converse(connection, disk int, b *buffer) uintptr {
	for {
		n, _, failed := syscall.RawSyscall(syscall.SYS_READ, uintptr(connection), uintptr(unsafe.Pointer(&b.name)), unsafe.Sizeof(b.name))
		if failed != 0 {
			return 1
		}
		if n == 0 {
			return 0
		}
		*(*byte)(unsafe.Add(unsafe.Pointer(&b.name), n-1)) = 0 // in the place of the newline
		file, _, failed := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(disk), uintptr(unsafe.Pointer(&b.name)), unix.O_RDONLY, 0, 0, 0)
		if failed != 0 {
			return 1
		}
		n, _, failed = syscall.RawSyscall(syscall.SYS_READ, file, uintptr(unsafe.Pointer(&b.page)), unsafe.Sizeof(b.page))
		syscall.RawSyscall(syscall.SYS_CLOSE, file, 0, 0)
		if failed != 0 {
			return 1
		}
		if _, _, failed = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(connection), uintptr(unsafe.Pointer(&b.page)), n); failed != 0 {
			return 1
		}
	}
}

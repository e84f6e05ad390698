package load

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Kind says what an error is about.
type Kind uint8

const (
	// Failed: something else.
	Failed Kind = iota
	// Denied: the process may not.
	Denied
	// Exhausted: descriptors or memory are used up.
	Exhausted
	// Rejected: the kernel does not take the program.
	Rejected
)

// Error is why something could not be loaded.
type Error struct {
	Kind Kind
	what string
	do   string
	// cause is what the kernel or the library said.
	cause error
}

// Error says what happened.
func (e *Error) Error() string { return e.what }

// Hint says what helps.
func (e *Error) Hint() string { return e.do }

// Unwrap returns what the kernel said. A program that the verifier rejects has none: its EACCES is no lack of privilege.
func (e *Error) Unwrap() error {
	if e.Kind == Rejected {
		return nil
	}
	return e.cause
}

// descriptors returns an error unless so many can be opened now.
func descriptors(n int) error {
	var opened []int
	defer func() {
		for _, fd := range opened {
			unix.Close(fd)
		}
	}()
	for range n {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return explain(err)
		}
		opened = append(opened, fd)
	}
	return nil
}

// explain finds the cause of what the kernel or the library said.
func explain(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EMFILE):
		return &Error{Exhausted, fmt.Sprintf("no file descriptor is left: this process may have %d (RLIMIT_NOFILE)", limit()),
			"raise the limit: ulimit -n 65536, or LimitNOFILE= of the service", err}
	case errors.Is(err, unix.ENFILE):
		return &Error{Exhausted, "no file descriptor is left: the machine has as many open files as it may (fs.file-max)",
			"raise the limit: sysctl -w fs.file-max=NUMBER", err}
	case errors.As(err, &verifier) && len(verifier.Log) > 0:
		return rejected(verifier)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return denied(err)
	case errors.Is(err, unix.ENOMEM):
		return &Error{Exhausted, "no memory for the tables: " + oneLine(err),
			"lower datapath.limits, or give the service more memory (MemoryMax=): its cgroup pays for BPF tables", err}
	case errors.Is(err, unix.E2BIG):
		return &Error{Failed, "a table or a program is larger than the kernel takes: " + oneLine(err), "lower datapath.limits", err}
	case errors.Is(err, unix.ENOSYS):
		return &Error{Rejected, "the kernel has no bpf(2): " + oneLine(err), "boot a kernel with CONFIG_BPF_SYSCALL", err}
	}
	return err
}

// rejected quotes the end of the verifier's log, which may have ten thousand lines.
func rejected(v *ebpf.VerifierError) *Error {
	return &Error{Rejected, "the kernel's verifier rejects the program: " + oneLine(v),
		"report it, with uname -r: this kernel is not among those that are tested", v}
}

// oneLine is an error in at most 300 characters.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	// The library's guess, which is wrong since Linux 5.11: BPF memory is the cgroup's, and RLIMIT_MEMLOCK plays no role.
	text = strings.ReplaceAll(text, " (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", "")
	if len(text) > 300 {
		text = text[:300] + " ..."
	}
	return text
}

// limit is the number of descriptors that this process may have.
func limit() uint64 {
	var l unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	return l.Cur
}

// denied says which privilege is missing.
func denied(err error) *Error {
	if missing := Missing(); len(missing) > 0 {
		return &Error{Denied, "this process lacks " + strings.Join(missing, " and ") + ": " + oneLine(err),
			"run it as root, or with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN and directories of its own", err}
	}
	if initial, err1 := os.ReadFile("/proc/thread-self/uid_map"); err1 == nil && strings.Join(strings.Fields(string(initial)), " ") != "0 0 4294967295" {
		return &Error{Denied, "this process is in a user namespace, whose capabilities bpf(2) does not count: " + oneLine(err),
			"run it outside, as the machine's root", err}
	}
	if status, err1 := os.ReadFile("/proc/thread-self/status"); err1 == nil && strings.Contains(string(status), "\nSeccomp:\t2") {
		return &Error{Denied, "a seccomp filter of this process denies bpf(2), as container engines set one: " + oneLine(err),
			"give the container CAP_BPF, or a filter that allows bpf(2)", err}
	}
	if errors.Is(err, unix.EACCES) {
		return &Error{Denied, oneLine(err), "use a pin directory of its own, or run it as root", err}
	}
	return &Error{Denied, "a security module of the kernel denies it: " + oneLine(err),
		"see what the kernel's audit log says, and allow lbctl bpf(2)", err}
}

// Missing returns the capabilities that the balancer needs and the calling thread does not have in effect.
// CAP_SYS_ADMIN is CAP_BPF and CAP_PERFMON, too (capabilities(7)).
func Missing() []string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	var lacking []string
	for _, c := range []struct {
		name   string
		number int
		admin  bool // whether CAP_SYS_ADMIN is as good
	}{{"CAP_BPF", unix.CAP_BPF, true}, {"CAP_PERFMON", unix.CAP_PERFMON, true}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, false}} {
		if !has(c.number) && !(c.admin && has(unix.CAP_SYS_ADMIN)) {
			lacking = append(lacking, c.name)
		}
	}
	return lacking
}

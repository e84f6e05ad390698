package day

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
)

// shell is a shell on a machine.
type shell struct{ *helper.Process }

// open starts a shell on a machine, which runs the set-up first.
func open(on *netns.Namespace, name, setUp string) (*shell, error) {
	p, err := helper.Start(on, "shell of "+name, "bash", "--noprofile", "--norc")
	if err != nil {
		return nil, err
	}
	s := &shell{p}
	if printed, status, err := s.run("exec 2>&1\n" + setUp); err != nil || status != 0 {
		return nil, fmt.Errorf("set up the shell of %s: status %d, %v, printed %q", name, status, err, printed)
	}
	return s, nil
}

// end kills the shell and what it started: all are in one process group.
func (s *shell) end() {
	_ = syscall.Kill(-s.PID(), syscall.SIGKILL)
	_ = s.Wait()
}

// done begins the line after a command's output; the exit status follows.
const done = "\x01done "

// run types a command and returns the lines that it prints, and its exit status.
func (s *shell) run(command string) (printed []string, status int, err error) {
	if err := s.Tell([]byte(command + "\nprintf '\\n\\001done %d\\n' $?")); err != nil {
		return nil, 0, err
	}
	for {
		line, err := s.Line()
		if err != nil {
			return printed, 0, err
		}
		if number, is := strings.CutPrefix(line, done); is {
			status, err := strconv.Atoi(number)
			return printed, status, err
		}
		if line != "" {
			printed = append(printed, line)
		}
	}
}

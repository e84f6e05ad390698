package peers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// policy is what Debian's packages ask whether they may start a daemon (policy-rc.d(8)).
const policy = "/usr/sbin/policy-rc.d"

// forbidding forbids it (101), and says whose it is.
const forbidding = "#!/bin/sh\n# of lbctl bench peers, for as long as it installs packages\nexit 101\n"

// forbidDaemons keeps packages from starting daemons until the result is called. A policy that is there
// already is somebody's who has thought about it, and stays.
func forbidDaemons(file string) (allow func() error, err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, nil
	}
	if err == nil {
		_, err = f.WriteString(forbidding)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("keep packages from starting daemons: %w", err)
	}
	return func() error { return clearPolicy(file) }, nil
}

// clearPolicy removes a policy that is ours, also that of a run that was killed; nobody else's.
func clearPolicy(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(text) != forbidding {
		return nil
	}
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil {
		return fmt.Errorf("let packages start daemons again: %w", err)
	}
	return nil
}

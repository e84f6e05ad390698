package load

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// oldest is the oldest kernel on which the programs are tested. On 5.15 the verifier rejects the balancer's program:
// it forgets the bounds of 32-bit values that are spilled to the stack. And before 5.16 the kernel takes the request to
// keep a neighbour resolved (NTF_EXT_MANAGED) for one to set it as it is given, without a MAC address, which destroys it.
var oldest = [2]int{6, 1}

// OldKernelError says that this kernel is too old, or, where its release cannot be read, that it may be.
type OldKernelError struct {
	// Release is the kernel's, as uname -r has it.
	Release string
}

// Error names the kernel and what is needed.
func (e *OldKernelError) Error() string {
	return fmt.Sprintf("this kernel is Linux %s, and %d.%d or later is needed: older ones reject the program, or damage neighbour entries",
		e.Release, oldest[0], oldest[1])
}

// Hint says what to do.
func (e *OldKernelError) Hint() string {
	return fmt.Sprintf("boot Linux %d.%d or later; nothing was changed", oldest[0], oldest[1])
}

// Kernel refuses a kernel that is too old, by the release of the running one and before anything is changed. Every
// function of this package does so, and so does whatever changes the host before it loads something. Errors:
// *OldKernelError.
func Kernel() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("read the kernel's release: %w", err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	if old, err := TooOld(release); old || err != nil {
		return &OldKernelError{release}
	}
	return nil
}

// TooOld tells whether the kernel of a release is too old. Its distribution's part does not matter, also where that has
// taken over things of later kernels: nobody tested them with ours. It returns an error where the release has no number.
func TooOld(release string) (bool, error) {
	var at [2]int
	if _, err := fmt.Sscanf(release, "%d.%d", &at[0], &at[1]); err != nil {
		return false, fmt.Errorf("read the kernel's release %q: %w", release, err)
	}
	return at[0] < oldest[0] || at[0] == oldest[0] && at[1] < oldest[1], nil
}

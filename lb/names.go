package lb

import "fmt"

// String returns "modulo", "maglev", or "scheduler-N".
func (s Scheduler) String() string {
	switch s {
	case Modulo:
		return "modulo"
	case Maglev:
		return "maglev"
	}
	return fmt.Sprintf("scheduler-%d", uint8(s))
}

// ParseScheduler reads "modulo" or "maglev". Its error wraps ErrInvalid.
func ParseScheduler(s string) (Scheduler, error) {
	return parseName(s, "scheduler", Modulo, Maglev)
}

// String returns "nat", "dsr", "ipip", or "mode-N".
func (m Mode) String() string {
	switch m {
	case NAT:
		return "nat"
	case DSR:
		return "dsr"
	case IPIP:
		return "ipip"
	}
	return fmt.Sprintf("mode-%d", uint8(m))
}

// ParseMode reads "nat", "dsr" or "ipip". Its error wraps ErrInvalid.
func ParseMode(s string) (Mode, error) { return parseName(s, "mode", NAT, DSR, IPIP) }

// String returns "never", "changes", "always", or "tracking-N".
func (t Tracking) String() string {
	switch t {
	case Stateless:
		return "never"
	case TrackChanges:
		return "changes"
	case TrackAlways:
		return "always"
	}
	return fmt.Sprintf("tracking-%d", uint8(t))
}

// ParseTracking reads "never", "changes" or "always". Its error wraps ErrInvalid.
func ParseTracking(s string) (Tracking, error) {
	return parseName(s, "tracking", Stateless, TrackChanges, TrackAlways)
}

// String returns "active", "draining", "down", or "state-N".
func (s ReplicaState) String() string {
	switch s {
	case Active:
		return "active"
	case Draining:
		return "draining"
	case Down:
		return "down"
	}
	return fmt.Sprintf("state-%d", uint8(s))
}

// ParseReplicaState reads "active", "draining" or "down". Its error wraps ErrInvalid.
func ParseReplicaState(s string) (ReplicaState, error) {
	return parseName(s, "replica state", Active, Draining, Down)
}

// String returns "jhash", "toeplitz", or "hash-N".
func (h Hash) String() string {
	switch h {
	case JHash:
		return "jhash"
	case ToeplitzHash:
		return "toeplitz"
	}
	return fmt.Sprintf("hash-%d", uint8(h))
}

// ParseHash reads "jhash" or "toeplitz". Its error wraps ErrInvalid.
func ParseHash(s string) (Hash, error) { return parseName(s, "hash", JHash, ToeplitzHash) }

// String returns "auto", "native", "generic", or whatever the value holds.
func (m AttachMode) String() string { return string(m) }

// ParseAttachMode reads "auto", "native" or "generic". Its error wraps ErrInvalid.
func ParseAttachMode(s string) (AttachMode, error) {
	return parseName(s, "attach mode", Auto, Native, Generic)
}

// parseName returns the choice whose String is name.
func parseName[T fmt.Stringer](name, what string, choices ...T) (T, error) {
	for _, c := range choices {
		if c.String() == name {
			return c, nil
		}
	}
	var zero T
	return zero, fmt.Errorf("%w %s %q: want one of %v", ErrInvalid, what, name, choices)
}

package lb

import (
	"fmt"
	"slices"
)

// The names of the choices, by value: as in configuration files and in the API.
func schedulerNames() []string { return []string{"modulo", "maglev"} }
func modeNames() []string      { return []string{"nat", "dsr", "ipip"} }
func trackingNames() []string  { return []string{"never", "changes", "always"} }
func stateNames() []string     { return []string{"active", "draining", "down"} }
func hashNames() []string      { return []string{"jhash", "toeplitz"} }
func noServiceNames() []string { return []string{"drop", "reject"} }

// String returns "modulo", "maglev", or "scheduler-N".
func (s Scheduler) String() string { return nameOf(s, "scheduler", schedulerNames()) }

// ParseScheduler reads "modulo" or "maglev". Its error wraps ErrInvalid.
func ParseScheduler(name string) (Scheduler, error) {
	return parseName[Scheduler](name, "scheduler", schedulerNames())
}

// String returns "nat", "dsr", "ipip", or "mode-N".
func (m Mode) String() string { return nameOf(m, "mode", modeNames()) }

// ParseMode reads "nat", "dsr" or "ipip". Its error wraps ErrInvalid.
func ParseMode(name string) (Mode, error) { return parseName[Mode](name, "mode", modeNames()) }

// String returns "never", "changes", "always", or "tracking-N".
func (t Tracking) String() string { return nameOf(t, "tracking", trackingNames()) }

// ParseTracking reads "never", "changes" or "always". Its error wraps ErrInvalid.
func ParseTracking(name string) (Tracking, error) {
	return parseName[Tracking](name, "tracking", trackingNames())
}

// String returns "active", "draining", "down", or "state-N".
func (s ReplicaState) String() string { return nameOf(s, "state", stateNames()) }

// ParseReplicaState reads "active", "draining" or "down". Its error wraps ErrInvalid.
func ParseReplicaState(name string) (ReplicaState, error) {
	return parseName[ReplicaState](name, "replica state", stateNames())
}

// String returns "jhash", "toeplitz", or "hash-N".
func (h Hash) String() string { return nameOf(h, "hash", hashNames()) }

// ParseHash reads "jhash" or "toeplitz". Its error wraps ErrInvalid.
func ParseHash(name string) (Hash, error) { return parseName[Hash](name, "hash", hashNames()) }

// String returns "drop", "reject", or "no-service-N".
func (n NoService) String() string { return nameOf(n, "no-service", noServiceNames()) }

// ParseNoService reads "drop" or "reject". Its error wraps ErrInvalid.
func ParseNoService(name string) (NoService, error) {
	return parseName[NoService](name, "answer", noServiceNames())
}

// String returns "auto", "native", "generic", or whatever the value holds.
func (m AttachMode) String() string { return string(m) }

// ParseAttachMode reads "auto", "native" or "generic". Its error wraps ErrInvalid.
func ParseAttachMode(name string) (AttachMode, error) {
	modes := []AttachMode{Auto, Native, Generic}
	if !slices.Contains(modes, AttachMode(name)) {
		return "", unknownName(name, "attach mode", modes)
	}
	return AttachMode(name), nil
}

// nameOf returns the name of a value, or what it is with its number.
func nameOf[T ~uint8](v T, what string, names []string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s-%d", what, uint8(v))
}

// parseName returns the value with that name.
func parseName[T ~uint8](name, what string, names []string) (T, error) {
	if i := slices.Index(names, name); i >= 0 {
		return T(i), nil
	}
	return 0, unknownName(name, what, names)
}

func unknownName[T any](name, what string, names []T) error {
	return fmt.Errorf("%w %s %q: want one of %v", ErrInvalid, what, name, names)
}

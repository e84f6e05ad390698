package intent

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lbctl/lb"
)

// Check says how the health of a service's replicas is found out, and what follows where none is healthy. It is
// comparable. The zero value is no check: the replicas count as healthy.
type Check struct {
	Type CheckType
	// Interval is the time from the beginning of a check to that of the next, Timeout how long one may take. Timeout
	// is at most Interval, so that the checks of a replica do not overlap.
	Interval, Timeout time.Duration
	// Rise good results in a row make an unhealthy replica healthy, Fall bad ones a healthy one unhealthy. The first
	// result of all decides alone.
	Rise, Fall uint16
	// SlowStart is how long a replica that becomes healthy again takes to come to its whole share; 0: it has it at once.
	SlowStart time.Duration
	// Port is asked instead of the replica's own; 0 for that.
	Port uint16
	// WhenNone is what follows when no replica is healthy that the operator wants active.
	WhenNone WhenNone

	// Path, Status, Body and Host are of CheckHTTP and CheckHTTPS. Body is what the answer's contains, "" for anything;
	// Host is the header, "" for the replica's address.
	Path, Body, Host string
	Status           Statuses
	// ServerName, of CheckHTTPS, is the name that the server is asked for (SNI) and its certificate is for; "" asks for
	// none. AnyCertificate takes every certificate.
	ServerName     string
	AnyCertificate bool
	// Send is the datagram of CheckUDP, Expect what the answer contains, "" for anything.
	Send, Expect Payload
	// Command is run by CheckExec.
	Command Command
	// Passive is what the service's own traffic says of a replica. The zero value is not looked at.
	Passive Passive
}

// Passive says when the answers of a replica that pass the datapath are so bad that it is ejected: that it counts as unhealthy.
// It comes back by the check that there is beside; with CheckPassive, or where the check cannot be made, when Ejection has passed.
type Passive struct {
	// Counts are the answers that speak against it.
	Counts PassiveCount
	// NewFlows is how many new flows are judged together: those of at most Window. Percent of them is how many such answers
	// are bad.
	NewFlows uint32
	Percent  uint16
	Window   time.Duration
	// Ejection doubles with each in a row, as what a rise takes does.
	Ejection time.Duration
	// MostPercent of the active replicas of a service are unhealthy at most for what passes the datapath.
	MostPercent uint16
}

// PassiveCount are answers of a replica.
type PassiveCount uint8

const (
	// Refusals are resets that answer a SYN.
	Refusals PassiveCount = iota
	// Resets are all.
	Resets
)

// String returns "refusals" or "resets".
func (c PassiveCount) String() string { return [...]string{"refusals", "resets"}[c] }

// ParsePassiveCount reads "refusals" or "resets". The error wraps lb.ErrInvalid.
func ParsePassiveCount(name string) (PassiveCount, error) {
	return parse(name, []PassiveCount{Refusals, Resets})
}

// CheckType is a way to find out the health of a replica.
type CheckType uint8

// The types of checks. The numbers are not stored.
const (
	NoCheck CheckType = iota
	CheckTCP
	CheckHTTP
	CheckHTTPS
	CheckUDP
	CheckExec
	// CheckPassive asks nothing: Passive alone says what is known.
	CheckPassive
)

// CheckTypes are all types, without NoCheck.
func CheckTypes() []CheckType {
	return []CheckType{CheckTCP, CheckHTTP, CheckHTTPS, CheckUDP, CheckExec, CheckPassive}
}

// String returns "tcp", "http", "https", "udp", "exec", "passive" or "none".
func (t CheckType) String() string {
	return [...]string{"none", "tcp", "http", "https", "udp", "exec", "passive"}[t]
}

// ParseCheckType reads the name of a type. The error wraps lb.ErrInvalid.
func ParseCheckType(name string) (CheckType, error) {
	return parse(name, CheckTypes())
}

// WhenNone is what a service does without a healthy replica.
type WhenNone uint8

const (
	// AllServe disregards health: checks that find all replicas ill at once are more often wrong than right.
	AllServe WhenNone = iota
	// NoneServes drops what comes, as without an active replica.
	NoneServes
)

// String returns "all" or "none".
func (w WhenNone) String() string { return [...]string{"all", "none"}[w] }

// ParseWhenNone reads "all" or "none". The error wraps lb.ErrInvalid.
func ParseWhenNone(name string) (WhenNone, error) {
	return parse(name, []WhenNone{AllServe, NoneServes})
}

func parse[T fmt.Stringer](name string, all []T) (T, error) {
	for _, v := range all {
		if v.String() == name {
			return v, nil
		}
	}
	var none T
	return none, fmt.Errorf("%w: %q is none of %v", lb.ErrInvalid, name, all)
}

// Statuses are those that an answer may have: numbers and ranges of them, separated by commas, as in "200-299,304".
type Statuses string

// Has tells whether a status is one of them.
func (s Statuses) Has(status int) bool {
	for part := range strings.SplitSeq(string(s), ",") {
		first, last, ranges := strings.Cut(part, "-")
		if !ranges {
			last = first
		}
		low, _ := strconv.Atoi(first)
		high, _ := strconv.Atoi(last)
		if low <= status && status <= high {
			return true
		}
	}
	return false
}

// Payload are bytes as a document has them: text, or "hex:" and hexadecimal digits.
type Payload string

// Bytes returns the bytes. The error says why the digits are none.
func (p Payload) Bytes() ([]byte, error) {
	digits, is := strings.CutPrefix(string(p), "hex:")
	if !is {
		return []byte(p), nil
	}
	return hex.DecodeString(digits)
}

// Command is a program and its arguments, each ended by a zero byte, as /proc/PID/cmdline has them.
type Command string

// NewCommand makes a command of its arguments, none of which has a zero byte.
func NewCommand(args []string) (c Command) {
	for _, a := range args {
		c += Command(a + "\x00")
	}
	return c
}

// Args returns the arguments; the first is the program's path.
func (c Command) Args() []string {
	if c == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(c), "\x00"), "\x00")
}

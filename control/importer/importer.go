// Package importer makes configurations of those of other load balancers, and says what of them could not be carried over.
package importer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"lbctl/control/api"
	"lbctl/lb"
)

// Result is a configuration, and what it lacks.
type Result struct {
	Config api.Config
	// Lacks is what could not be carried over, or only with another meaning, in the order of the text.
	Lacks []Lack
}

// Lack is something that could not be carried over.
type Lack struct {
	// Line counts from 1.
	Line int
	What string
}

// String returns "line 3: persistence: ...".
func (l Lack) String() string { return fmt.Sprintf("line %d: %s", l.Line, l.What) }

// lack records something once for each line and kind.
func (r *Result) lack(line int, what string, args ...any) {
	r.Lacks = append(r.Lacks, Lack{line, fmt.Sprintf(what, args...)})
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 64 << 10

// eachLine calls do with the words of each line that has any before a #. The error wraps lb.ErrInvalid and names the line.
func eachLine(text io.Reader, do func(n int, words []string) error) error {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := do(n, words); err != nil {
			return fmt.Errorf("line %d: %w: %w", n, lb.ErrInvalid, err)
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("longer than %d bytes", maxLine)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w: %w", n+1, lb.ErrInvalid, err)
	}
	return nil
}

// finish makes names unique, and has services that share a backend record every flow, so that its answers are told apart.
func (r *Result) finish() Result {
	names, owners := map[string]int{}, map[string]int{}
	for i := range r.Config.Services {
		s := &r.Config.Services[i]
		if names[s.Name]++; names[s.Name] > 1 {
			s.Name = fmt.Sprintf("%s-%d", s.Name[:min(len(s.Name), 55)], i+1)
		}
		for _, replica := range s.Replicas {
			owners[s.Protocol+replica.Address]++
		}
	}
	for i := range r.Config.Services {
		s := &r.Config.Services[i]
		for _, replica := range s.Replicas {
			if s.Mode == lb.NAT.String() && owners[s.Protocol+replica.Address] > 1 {
				s.Tracking = lb.TrackAlways.String()
			}
		}
	}
	slices.SortStableFunc(r.Lacks, func(a, b Lack) int { return a.Line - b.Line })
	return *r
}

// nameOf makes a name of a service from its protocol and address: "tcp-192-0-2-1-80".
func nameOf(protocol string, vip netip.AddrPort) string {
	text := strings.Map(func(c rune) rune {
		switch c {
		case '.', ':', '[', ']', '%':
			return '-'
		}
		return c
	}, vip.String())
	name := strings.Trim(strings.ReplaceAll(protocol+"-"+text, "--", "-"), "-")
	return name[:min(len(name), 63)]
}

// number returns a pointer to n.
func number(n int64) *int64 { return &n }

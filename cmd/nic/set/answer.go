package set

import (
	"fmt"
	"io"
	"slices"

	"lbctl/cmd/cli"
	"lbctl/rss/ethtool"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
)

// answer says what a change does. Scripts rely on its JSON names.
type answer struct {
	Interface string `json:"interface"`
	// Context is the additional RSS context that is meant, absent for the interface's own settings and in a dry run for one
	// that would be created.
	Context  *ethtool.Context `json:"context,omitempty"`
	Created  bool             `json:"created,omitempty"`
	Deleted  bool             `json:"deleted,omitempty"`
	DryRun   bool             `json:"dry_run"`
	Commands []string         `json:"commands"`
	// Entries is the size of the table, Changed the number of entries that change.
	Entries int `json:"entries"`
	Changed int `json:"entries_changed"`
	// Rehashed is true when the key or fields change, so that flows get other entries.
	Rehashed bool `json:"rehashed"`
	// Flows is the number of flows that were observed or given, Moved how many go to another queue; absent without flows.
	Flows *int `json:"flows,omitempty"`
	Moved *int `json:"flows_moved,omitempty"`
}

func (s *answer) show(w io.Writer) {
	for _, command := range s.Commands {
		fmt.Fprintln(w, command)
	}
	if s.Context != nil || s.Created {
		s.showContext(w)
	} else {
		s.showMoved(w)
	}
	if s.DryRun {
		fmt.Fprintln(w, "dry run: nothing was changed")
	}
}

// showMoved says what moves, of the interface's own flows.
func (s *answer) showMoved(w io.Writer) {
	fmt.Fprintf(w, "%d of %d entries of the indirection table change\n", s.Changed, s.Entries)
	switch {
	case s.Moved != nil:
		fmt.Fprintf(w, "%d of %s move to another queue\n", *s.Moved, cli.Many(*s.Flows, "live flow"))
	case s.Rehashed:
		fmt.Fprintln(w, "flows get other hashes: count those that move with --observe 5s or --flows FILE")
	case s.Entries > 0:
		fmt.Fprintf(w, "%.1f %% of all flows move to another queue\n", 100*float64(s.Changed)/float64(s.Entries))
	}
}

// describe returns the effect of a change, except on flows.
func describe(name string, before, after ethtool.Settings, change ethtool.Change) *answer {
	a := &answer{
		Interface: name, Commands: change.Commands(name, before.Context), Entries: len(before.Table),
		Rehashed: !slices.Equal(before.Key, after.Key) || !slices.Equal(before.Functions, after.Functions) || before.Transform != after.Transform,
	}
	for i := range before.Table {
		if before.Table[i] != after.Table[i] {
			a.Changed++
		}
	}
	for _, f := range change.Fields {
		if before.Fields[f.Type] != f.Fields {
			a.Rehashed = true
		}
	}
	return a
}

// count counts the flows that move; nil means that flows are not known.
func (s *answer) count(flows []packet.Flow, before, after ethtool.Settings) error {
	if flows == nil {
		return nil
	}
	was, err := modelOf(before)
	if err != nil {
		return err
	}
	is, err := modelOf(after)
	if err != nil {
		return err
	}
	n, moved := len(flows), 0
	for _, f := range flows {
		if was.ClassifyFlow(f).Queue != is.ClassifyFlow(f).Queue {
			moved++
		}
	}
	s.Flows, s.Moved = &n, &moved
	return nil
}

func modelOf(s ethtool.Settings) (*nic.NIC, error) {
	config, _, err := s.Model()
	if err != nil {
		return nil, err
	}
	return nic.New(config)
}

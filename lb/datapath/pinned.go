package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
)

// pinned is the tables that an earlier process has pinned.
type pinned struct {
	maps   bpf.LbMaps
	byName map[string]*ebpf.Map // those that are there
	// schema is the version of their layout.
	schema uint32
	// fits tells whether they are such as a program of these options makes them, and why they cannot be read if this
	// version does not know their layout. Only of those that can be read the limits are known.
	fits   bool
	why    string
	limits lb.Limits
}

// openPinned opens the tables that are pinned in a directory or, where one is not, in the next of these; nil if there are
// none. The caller closes them.
func (p *program) openPinned(dirs ...string) (_ *pinned, err error) {
	spec, err := p.plainSpec()
	if err != nil {
		return nil, err
	}
	t := &pinned{byName: map[string]*ebpf.Map{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	for field, value := range reflect.ValueOf(&t.maps).Elem().Fields() {
		name := field.Tag.Get("ebpf")
		if spec.Maps[name] == nil || spec.Maps[name].Pinning != ebpf.PinByName {
			continue
		}
		m, err := openMap(dirs, name)
		if err != nil {
			return nil, err
		}
		if m != nil {
			t.byName[name] = m
			value.Set(reflect.ValueOf(m))
		}
	}
	if len(t.byName) == 0 {
		return nil, nil
	}
	return t, t.judge(p, spec)
}

func openMap(dirs []string, name string) (*ebpf.Map, error) {
	for _, dir := range dirs {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open the pinned table %s: %w", name, lb.Denied(err))
		}
		return m, nil
	}
	return nil, nil
}

// judge finds out whether the tables fit, or else can be read.
func (t *pinned) judge(p *program, spec *ebpf.CollectionSpec) error {
	if t.maps.Settings != nil && sameRows(spec.Maps[bpf.LbMapSettings], t.maps.Settings) {
		var row bpf.LbSetting
		if err := t.maps.Settings.Lookup(uint32(0), &row); err != nil {
			return fmt.Errorf("read the settings: %w", err)
		}
		t.schema = uint32(row.Schema)
	}
	if t.schema == 0 && len(t.byName) == 1 && t.maps.Settings != nil {
		t.fits = true // a process has begun to make tables, and ended
		return nil
	}
	others, known := formers()[t.schema]
	if !known {
		t.why = fmt.Sprintf("they have schema %d, and this version reads %v", t.schema, slices.Sorted(maps.Keys(formers())))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		m := spec.Maps[name]
		switch is := t.byName[name]; {
		case m.Pinning != ebpf.PinByName || slices.Contains(others, name) || is != nil && sameRows(m, is):
		case is == nil:
			t.why = "the pin of " + name + " is missing"
		default:
			t.why = "the rows of " + name + " have another layout"
		}
	}
	// What is missing is made again beside the others, if those fit.
	if err := p.configure(spec); err != nil {
		return err
	}
	t.fits = t.schema == schema
	for name, is := range t.byName {
		t.fits = t.fits && spec.Maps[name].Compatible(is) == nil
	}
	if t.why == "" {
		t.limits = t.sizes()
	}
	return nil
}

// sameRows tells whether a pinned table has rows as this version has them, however many.
func sameRows(spec *ebpf.MapSpec, is *ebpf.Map) bool {
	want := spec.Copy()
	if want.MaxEntries = is.MaxEntries(); bpf.IsFlat(spec) && is.ValueSize()%spec.ValueSize == 0 {
		want.MaxEntries, want.ValueSize = 1, is.ValueSize()
	}
	return want.Compatible(is) == nil
}

// sizes is the limits by which the tables were made: the reverse of configure.
func (t *pinned) sizes() lb.Limits {
	lines, _ := bpf.Rows(t.maps.Established, uint32(binary.Size(bpf.LbRecords{})))
	l := lb.Limits{
		Services: t.maps.RetiredCounts.MaxEntries(), Replicas: t.maps.Replicas.MaxEntries(),
		Flows: lines * bpf.RecordEntries,
	}
	if l.SourceRanges = lb.DefaultLimits.SourceRanges; t.maps.SourceRanges != nil {
		l.SourceRanges = t.maps.SourceRanges.MaxEntries() / 2
	}
	l.Slots = t.maps.Slots.MaxEntries() - 2*l.Replicas
	return l
}

func (t *pinned) close() error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, m := range t.byName {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// PinnedLimits returns the limits of the tables that are pinned in a directory. known is false if there are none, or none that
// this version can read.
func PinnedLimits(dir string) (_ lb.Limits, known bool, err error) {
	p := &program{options: Options{Dir: dir}.withDefaults()}
	t, err := p.openPinned(dir)
	if t == nil || err != nil {
		return lb.Limits{}, false, err
	}
	return t.limits, t.why == "" && t.limits != (lb.Limits{}), t.close()
}

package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lbctl/lb"
)

// testInterfaces tests attaching and detaching.
func testInterfaces(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("attach and detach", func(t *testing.T) { testAttach(newFixture(t, open)) })
	t.Run("modes", func(t *testing.T) { testModes(newFixture(t, open)) })
	t.Run("held", func(t *testing.T) { testHeld(newFixture(t, open)) })
}

func (b fixture) attach(name string, mode lb.AttachMode) lb.Interface {
	b.t.Helper()
	i, err := b.Dataplane.Attach(b.t.Context(), name, mode)
	if err != nil {
		b.t.Fatalf("attach %s: %v", name, err)
	}
	if i.Name != name || i.Index <= 0 || i.Mode != lb.Native && i.Mode != lb.Generic {
		b.t.Errorf("attach %s: %+v", name, i)
	}
	return i
}

func (b fixture) detach(name string) {
	b.t.Helper()
	if err := b.Dataplane.Detach(b.t.Context(), name); err != nil {
		b.t.Fatalf("detach %s: %v", name, err)
	}
}

func testAttach(b fixture) {
	west, east := b.attach(West, lb.Auto), b.attach(East, lb.Auto)
	equal(b.t, "interfaces", b.interfaces(), []lb.Interface{east, west})
	b.unchanged("attaching again", func() { equal(b.t, "attached again", b.attach(West, lb.Auto), west) })
	b.detach(West)
	equal(b.t, "interfaces", b.interfaces(), []lb.Interface{east})
	b.refused(refusal{"detach twice", func(ctx context.Context, d lb.Dataplane) error {
		return d.Detach(ctx, West)
	}, []error{lb.ErrNotFound}})
	equal(b.t, "attached after all", b.attach(West, lb.Auto), west)
}

// testModes attaches in each mode that the driver has. Attaching again in the same mode changes nothing; the
// other mode is refused.
func testModes(b fixture) {
	for _, mode := range []lb.AttachMode{lb.Native, lb.Generic} {
		got, err := b.Dataplane.Attach(b.t.Context(), East, mode)
		if errors.Is(err, lb.ErrUnsupported) {
			equal(b.t, "interfaces", b.interfaces(), nil)
			continue
		}
		if err != nil {
			b.t.Fatalf("attach %v: %v", mode, err)
		}
		equal(b.t, "mode", got.Mode, mode)
		other := lb.Native
		if mode == lb.Native {
			other = lb.Generic
		}
		b.unchanged("attaching again", func() {
			equal(b.t, "attached again", b.attach(East, mode), got)
			equal(b.t, "attached again", b.attach(East, lb.Auto), got)
			b.refused(attachAs(East, other, lb.ErrConflict))
			b.refused(attachAs(East, "sideways", lb.ErrInvalid))
			for _, as := range []lb.AttachMode{mode, lb.Auto} {
				if err := b.Dataplane.MayAttach(East, as); err != nil {
					b.t.Errorf("attached as %v, it may not be as %v: %v", mode, as, err)
				}
			}
		})
		b.detach(East)
	}
}

func attachAs(name string, mode lb.AttachMode, want error) refusal {
	return refusal{"attach as " + string(mode), func(ctx context.Context, d lb.Dataplane) error {
		if err := d.MayAttach(name, mode); !errors.Is(err, want) {
			return fmt.Errorf("before it is tried: %w", err)
		}
		_, err := d.Attach(ctx, name, mode)
		return err
	}, []error{want}}
}

// testHeld attaches to an interface of another program, which must be named.
func testHeld(b fixture) {
	if b.Held == "" {
		b.t.Skip("the harness has no interface that another program holds")
	}
	b.unchanged("attaching to what is held", func() {
		_, err := b.Dataplane.Attach(b.t.Context(), b.Held, lb.Auto)
		for _, err := range []error{err, b.Dataplane.MayAttach(b.Held, lb.Auto)} {
			if !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), b.Holder) {
				b.t.Errorf("attach %s: error %v, want a conflict that names %s", b.Held, err, b.Holder)
			}
		}
	})
	if slices.ContainsFunc(b.interfaces(), func(i lb.Interface) bool { return i.Name == b.Held }) {
		b.t.Errorf("%s is listed as attached", b.Held)
	}
}

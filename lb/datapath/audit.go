package datapath

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"
)

// auditEvery is how often the kernel is compared with what this process has put there, beside the news of links.
const auditEvery = 10 * time.Second

// Verify implements lb.Dataplane. The tables are compared in small parts, between which others get the lock: so changes are not
// held up. What it cannot repair Condition tells. An interface that has lost its link is for the caller of Attach.
func (d *Datapath) Verify(ctx context.Context, repair bool) (found lb.Verification, err error) {
	d.verifying.Lock()
	defer d.verifying.Unlock()
	err = d.locked(func() error {
		v := &verifier{registry: d.registry, schema: bpf.LbSetting{Schema: schema, Secret: d.secret}, repair: repair, pause: d.pause(ctx)}
		err := v.tables()
		if err == nil {
			err = d.hops.network.Inside(func() error { return d.verifyLinks(v) })
		}
		found = v.Verification
		if repair && !d.closed {
			d.say(found)
		}
		return err
	})
	return found, err
}

// slice is how long a comparison holds the lock, and then leaves it to others.
const slice = time.Millisecond

// pause returns what a comparison calls between its parts, under the lock.
func (d *Datapath) pause(ctx context.Context) func() error {
	began := time.Now()
	return func() error {
		d.registry.tables.Trim()
		if time.Since(began) < slice {
			return nil
		}
		d.mu.Unlock()
		time.Sleep(slice)
		d.mu.Lock()
		began = time.Now()
		if d.closing.Load() {
			return fmt.Errorf("datapath: %w", os.ErrClosed)
		}
		return ctx.Err()
	}
}

// verifyLinks compares the links and the pins. The thread is in the namespace.
func (d *Datapath) verifyLinks(v *verifier) error {
	program := d.monitoring.current()
	misled, err := d.links.hook.Misled(program)
	if err != nil {
		return err
	}
	unpinned := d.links.hook.Unpinned(d.objects.Lb, d.pinned)
	if v.repair {
		err = d.auditLinks()
		_, err1 := d.links.hook.Reclaim(program)
		err = errors.Join(err, err1, d.repin())
	}
	for _, name := range slices.Sorted(maps.Keys(misled)) {
		v.Add(lb.Drift{Table: "links", Key: name, Want: "our program", Have: xdp.Runs(misled[name]), Repaired: v.repair && err == nil})
	}
	for _, pin := range unpinned {
		v.Add(lb.Drift{Table: "pins", Key: filepath.Base(pin), Want: "pinned", Have: "not pinned, or another is", Repaired: v.repair && err == nil})
	}
	return err
}

// linkNews looks after the links if there is news of an attached interface.
func (d *Datapath) linkNews(index int) error {
	return d.locked(func() error {
		if _, attached := d.links.hook.Links[index]; !attached {
			return nil
		}
		return d.hops.network.Inside(d.auditLinks)
	})
}

// auditLinks releases the links that have lost their interfaces. The thread is in the namespace.
func (d *Datapath) auditLinks() error {
	lost, err := d.links.hook.Sync()
	for _, index := range lost {
		d.options.Logger.Warn("released the link of an interface that is gone, was moved, or from which somebody detached it", "index", index)
		d.events.tell(lb.Event{Kind: lb.LinkLost, Index: index})
	}
	return err
}

// repin pins again what others have unpinned.
func (d *Datapath) repin() error {
	if len(d.links.hook.Unpinned(d.objects.Lb, d.pinned)) == 0 {
		return nil
	}
	if err := d.dir.Relock(); err != nil {
		return err
	}
	_, err := d.links.hook.Repin(d.objects.Lb, d.pinned)
	return err
}

// inDir lists pins without their directory.
func inDir(pins []string) string {
	names := make([]string, len(pins))
	for i, pin := range pins {
		names[i] = filepath.Base(pin)
	}
	return strings.Join(names, ", ")
}

// said is how many drifts are told one by one, each time. Somebody who changes rows all the time fills no log.
const said = 20

// say counts and tells what others had changed.
func (d *Datapath) say(v lb.Verification) {
	d.drifts += v.Found
	d.mended += v.Repaired
	for _, drift := range v.Drifts[:min(len(v.Drifts), said)] {
		d.options.Logger.Error("others changed the datapath", "table", drift.Table, "row", drift.Key, "want", drift.Want, "had", drift.Have,
			"repaired", drift.Repaired, "directory", d.options.Dir)
		if drift.Repaired {
			d.events.tell(lb.Event{Kind: lb.Mended, Detail: fmt.Sprintf("%s: %s: was %s, is %s", drift.Table, drift.Key, drift.Have, drift.Want)})
		}
	}
	if more := int(v.Found) - said; more > 0 {
		d.options.Logger.Error("others changed the datapath", "more", more, "directory", d.options.Dir)
		d.events.tell(lb.Event{Kind: lb.Mended, Detail: fmt.Sprintf("%d more", more)})
	}
}

// Condition implements lb.Dataplane.
func (d *Datapath) Condition() (c lb.Condition, err error) {
	err = d.locked(func() error {
		return d.hops.network.Inside(func() (err error) {
			c, err = d.condition()
			return err
		})
	})
	return c, err
}

func (d *Datapath) condition() (c lb.Condition, err error) {
	c.Drifts, c.Mended, c.Unfit = d.drifts, d.mended, map[netip.Addr]string{}
	for _, u := range d.hops.unfit {
		c.Unfit[u.address] = u.why
	}
	missing := d.links.hook.Unpinned(d.objects.Lb, d.pinned)
	if len(missing) > 0 {
		c.Faults = append(c.Faults, fmt.Sprintf("not pinned any more in %s: %s", d.options.Dir, inDir(missing)))
	}
	misled, err := d.links.hook.Misled(d.monitoring.current())
	if err != nil {
		return c, err
	}
	for _, name := range slices.Sorted(maps.Keys(misled)) {
		c.Faults = append(c.Faults, "another program is in the place of ours on "+name)
	}
	attached, err := d.links.hook.Interfaces()
	switch {
	case err != nil:
		return c, err
	case len(attached) == 0:
		c.Ends = "no interface is attached"
	case len(missing) > 0:
		c.Ends = c.Faults[0]
	case xdp.IsEphemeral(d.options.Dir):
		c.Ends = "the BPF file system of " + d.options.Dir + " ends with this mount namespace"
	}
	return c, nil
}

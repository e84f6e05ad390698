package ethtool

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// Apply makes a change that Settings.After accepts. By netlink (Linux 6.17 and later) it is one message, by ioctl it
// is several; either way the fields come first, one flow type at a time, then key and table together. After an error key
// and table have not changed, and the fields are as before, unless the error says that they could not be restored.
func Apply(s Settings, c Change) error { return apply(system{}, s, c) }

func apply(k kernel, s Settings, c Change) error {
	if c.IsZero() {
		return nil
	}
	after, err := s.After(c)
	if err != nil {
		return fmt.Errorf("set rss of %s: %w", s.Interface, err)
	}
	_, err = k.message(messageRSSSet, encodeChange(s.Interface, after, c))
	if err != nil && refused(err) {
		err = applyIoctl(k, s, after, c)
	} else if err != nil && !errors.Is(err, unix.EPERM) {
		err = errors.Join(err, restore(k, s, c))
	}
	switch {
	case err == nil:
		return nil
	case s.Context != 0:
		return fmt.Errorf("set rss context %v of %s: %w", s.Context, s.Interface, contextError(err))
	}
	return fmt.Errorf("set rss of %s: %w", s.Interface, absent(err))
}

// encodeChange makes the attributes of ETHTOOL_MSG_RSS_SET. A table without entries requests the default one.
func encodeChange(name string, after Settings, c Change) []byte {
	b := appendContext(header(name), after.Context)
	if c.Function != nil {
		b = appendAttribute(b, rssFunction, native.AppendUint32(nil, 1<<*c.Function))
	}
	if c.Transform != nil {
		b = appendAttribute(b, rssTransform, native.AppendUint32(nil, uint32(*c.Transform)))
	}
	if c.Table != nil || c.Entries != nil {
		var entries []byte
		if c.Entries != nil || !isDefault(c.Table) {
			for _, q := range after.Table {
				entries = native.AppendUint32(entries, uint32(q))
			}
		}
		b = appendAttribute(b, rssTable, entries)
	}
	if c.Key != nil {
		b = appendAttribute(b, rssKey, c.Key)
	}
	if len(c.Fields) > 0 {
		var fields []byte
		for _, f := range c.Fields {
			if n, err := numbersOf(f.Type); err == nil {
				fields = appendAttribute(fields, n.attribute, native.AppendUint32(nil, uint32(f.Fields)))
			}
		}
		b = appendAttribute(b, rssFlowHash|nested, fields)
	}
	return b
}

func isDefault(p *rss.TablePlan) bool { return p.Equal == 0 && p.Weights == nil }

// applyIoctl makes the change in steps. If one fails it undoes the ones before.
func applyIoctl(k kernel, before, after Settings, c Change) error {
	if before.Context != 0 && len(c.Fields) > 0 {
		return fmt.Errorf("%w: hash fields of a context are set on Linux 6.17 or later, by some drivers", ErrRefused)
	}
	for i, f := range c.Fields {
		if err := setFieldsOf(k, before.Interface, f); err != nil {
			err = fmt.Errorf("hash fields %v of %s: %w", f.Fields, f.Type, explain(err))
			return errors.Join(err, undo(k, before, c.Fields[:i]))
		}
	}
	if !c.setsRSS() {
		return nil
	}
	if err := k.ioctl(before.Interface, encodeKeyAndTable(after, c)); err != nil {
		return errors.Join(fmt.Errorf("key and table: %w", explain(err)), undo(k, before, c.Fields))
	}
	return nil
}

func encodeKeyAndTable(after Settings, c Change) []byte {
	size, table, key := uint32(keepTable), rss.Table(nil), 0
	switch {
	case c.Table != nil && isDefault(c.Table):
		size = 0
	case c.Table != nil || c.Entries != nil:
		size, table = uint32(len(after.Table)), after.Table
	}
	if c.Key != nil {
		key = len(c.Key)
	}
	// Keep the transformation: a kernel that does not support any reports 0 and requires 0.
	b := ofContext(encodeRSS(setRSS, size, table, key, after.Transform), after.Context)
	if c.Function != nil { // else 0, which keeps it
		b[16] = 1 << *c.Function
	}
	copy(b[len(b)-key:], c.Key)
	return b
}

// restore sets the fields as they were, by netlink.
func restore(k kernel, before Settings, c Change) error {
	var old []FieldsOf
	for _, f := range c.Fields {
		old = append(old, FieldsOf{f.Type, before.Fields[f.Type]})
	}
	if len(old) == 0 {
		return nil
	}
	if _, err := k.message(messageRSSSet, encodeChange(before.Interface, before, Change{Fields: old})); err != nil {
		return fmt.Errorf("restore hash fields: %w", err)
	}
	return nil
}

// undo restores the fields, by ioctl.
func undo(k kernel, before Settings, changed []FieldsOf) error {
	var errs []error
	for _, f := range changed {
		old := FieldsOf{f.Type, before.Fields[f.Type]}
		if err := setFieldsOf(k, before.Interface, old); err != nil {
			errs = append(errs, fmt.Errorf("restore hash fields of %s to %v: %w", f.Type, old.Fields, err))
		}
	}
	return errors.Join(errs...)
}

func setFieldsOf(k kernel, name string, f FieldsOf) error {
	n, err := numbersOf(f.Type)
	if err != nil {
		return err
	}
	return k.ioctl(name, encodeFields(setFields, n.ioctl, f.Fields))
}

// explain adds the meaning of a driver's errno.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: the driver does not accept it: %w", ErrRefused, err)
	}
	return err
}

package ethtool

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// Context is the number of an RSS context: a table, and with some drivers a key and hash fields, of its own, to which flow
// rules send packets. 0 is the interface's default one, which all other packets go to.
type Context uint32

// NewContext is a context that is still to be created (ETH_RXFH_CONTEXT_ALLOC).
const NewContext Context = 0xffff_ffff

// String returns the word that ethtool has for it.
func (c Context) String() string {
	if c == NewContext {
		return "new"
	}
	return strconv.FormatUint(uint64(c), 10)
}

// ErrNoContext: the interface has no context of that number.
var ErrNoContext = errors.New("no such rss context")

// ReadContext returns the settings of an additional context of an interface, of which s are the settings. For NewContext they
// are those that one has at first: equal over all queues.
func ReadContext(s Settings, c Context) (Settings, error) { return readContext(system{}, s, c) }

func readContext(k kernel, s Settings, c Context) (Settings, error) {
	if c == NewContext {
		table, err := rss.EqualTable(len(s.Table), s.Queues)
		s.Context, s.Table, s.Contexts = c, table, nil
		return s, err
	}
	answer, err := k.message(messageRSSGet, appendContext(header(s.Interface), c))
	if err == nil {
		return s.context(answer, c)
	}
	if refused(err) {
		return readContextIoctl(k, s, c)
	}
	return Settings{}, fmt.Errorf("read rss context %v of %s: %w", c, s.Interface, contextError(err))
}

func readContextIoctl(k kernel, s Settings, c Context) (Settings, error) {
	b := ofContext(command(getRSS, rssLength), c)
	err := k.ioctl(s.Interface, b)
	if err == nil {
		entries, key := rssSizes(b)
		b = ofContext(encodeRSS(getRSS, uint32(entries), make(rss.Table, entries), key, 0), c)
		err = k.ioctl(s.Interface, b)
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read rss context %v of %s: %w", c, s.Interface, contextError(err))
	}
	of := Settings{}
	if err := decodeRSS(b, &of); err != nil {
		return Settings{}, err
	}
	return s.with(of, c), nil
}

// context reads an answer to RSS_GET that is about an additional context.
func (s Settings) context(answer []byte, c Context) (Settings, error) {
	of := Settings{Fields: map[FlowType]rss.Fields{}}
	if err := parseRSS(answer, &of); err != nil {
		return Settings{}, err
	}
	return s.with(of, c), nil
}

// sharedTransform is what the kernel reports of a context whose driver has no transforms (RXH_XFRM_NO_CHANGE).
const sharedTransform = 0xff

// with returns the settings of a context: what the driver does not have for each context is the interface's.
func (s Settings) with(of Settings, c Context) Settings {
	shared := s
	s.Context, s.Contexts, s.Table = c, nil, of.Table
	s.Key, s.Functions, s.Transform, s.Fields = of.Key, of.Functions, of.Transform, of.Fields
	if len(s.Key) == 0 {
		s.Key = shared.Key
	}
	if len(s.Functions) == 0 {
		s.Functions = shared.Functions
	}
	if len(of.Key) == 0 || s.Transform == sharedTransform {
		s.Transform = shared.Transform
	}
	if len(s.Fields) == 0 {
		s.Fields = shared.Fields
	}
	return s
}

// readContexts lists the additional contexts, where the kernel can (Linux 6.12).
func readContexts(k kernel, s *Settings) error {
	if !s.HasRSS() || s.By != byNetlink {
		return nil
	}
	answers, err := k.dump(messageRSSGet, header(s.Interface))
	if refused(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("contexts: %w", absent(err))
	}
	for _, answer := range answers {
		a, err := parseAttributes(answer)
		if err != nil {
			return fmt.Errorf("contexts: %w", err)
		}
		c := Context(a.number(rssContext))
		if c == 0 {
			continue // the default one
		}
		one, err := s.context(answer, c)
		if err != nil {
			return fmt.Errorf("context %v: %w", c, err)
		}
		s.Contexts = append(s.Contexts, one)
	}
	return nil
}

// Create makes an additional context and returns its number. s are the settings that ReadContext has for NewContext. After an
// error there is none, unless the error says that it could not be deleted.
func Create(s Settings, c Change) (Context, error) { return create(system{}, s, c) }

func create(k kernel, s Settings, c Change) (Context, error) {
	after, err := s.After(c)
	if err != nil {
		return 0, fmt.Errorf("create rss context of %s: %w", s.Interface, err)
	}
	fields := c.Fields
	c.Fields = nil // a kernel takes none at creation
	if c.Table == nil {
		c.Entries = after.Table // some kernels refuse to create one of which nothing is said
	}
	made, err := createAlone(k, after, c)
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOSPC) {
		err = fmt.Errorf("the NIC has no room for another one: %w", err)
	}
	if err != nil {
		return 0, fmt.Errorf("create rss context of %s: %w", s.Interface, contextError(err))
	}
	if len(fields) == 0 {
		return made, nil
	}
	s.Context = made
	if err := apply(k, s, Change{Fields: fields}); err != nil {
		return 0, errors.Join(err, remove(k, s, made))
	}
	return made, nil
}

func createAlone(k kernel, after Settings, c Change) (Context, error) {
	answer, err := k.message(messageRSSCreate, encodeChange(after.Interface, after, c))
	if err == nil {
		a, err := parseAttributes(answer)
		if err != nil {
			return 0, fmt.Errorf("read the answer: %w", err)
		}
		return Context(a.number(rssContext)), nil
	}
	if !refused(err) {
		return 0, err
	}
	b := encodeKeyAndTable(after, c)
	err = k.ioctl(after.Interface, b)
	return contextOf(b), err
}

// Delete removes an additional context.
func Delete(s Settings, c Context) error { return remove(system{}, s, c) }

func remove(k kernel, s Settings, c Context) error {
	_, err := k.message(messageRSSDelete, appendContext(header(s.Interface), c))
	if refused(err) {
		err = k.ioctl(s.Interface, ofContext(command(setRSS, rssLength), c)) // no table: delete it
	}
	if errors.Is(err, unix.EBUSY) {
		err = fmt.Errorf("flow rules name it (ethtool -n): %w", err)
	}
	if err != nil {
		return fmt.Errorf("delete rss context %v of %s: %w", c, s.Interface, contextError(err))
	}
	return nil
}

// contextError adds the meaning of an errno of a request about a context.
func contextError(err error) error {
	switch {
	case errors.Is(err, ErrRefused):
		return err
	case errors.Is(err, unix.ENOENT):
		return ErrNoContext
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: the driver has no additional contexts, or not with these settings: %w", ErrRefused, err)
	}
	return absent(explain(err))
}

// appendContext adds the number of an additional context to a message.
func appendContext(b []byte, c Context) []byte {
	if c == 0 || c == NewContext {
		return b
	}
	return appendAttribute(b, rssContext, native.AppendUint32(nil, uint32(c)))
}

// ofContext puts the number into a struct ethtool_rxfh.
func ofContext(b []byte, c Context) []byte {
	native.PutUint32(b[4:], uint32(c))
	return b
}

func contextOf(b []byte) Context { return Context(native.Uint32(b[4:])) }

// Package ethtool reads and sets how a network interface spreads received packets: its
// channels, RSS key, indirection table, hash function, input transformation and hash
// fields.
//
// It uses ethtool's generic netlink family or, where the kernel or the
// driver does not support that, the older ioctl. No ethtool binary is needed. Calls
// apply to the network namespace of the calling thread. Reading needs no privilege,
// setting needs CAP_NET_ADMIN.
//
// Source: include/uapi/linux/ethtool.h, ethtool_netlink_generated.h and net/ethtool/rss.c
// of Linux 6.18; Documentation/networking/ethtool-netlink.rst.
package ethtool

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// The errors that callers distinguish.
var (
	// ErrNoInterface: there is no interface of that name in the namespace.
	ErrNoInterface = errors.New("no such interface")
	// ErrNoRSS: the interface has no indirection table.
	ErrNoRSS = errors.New("no rss")
	// ErrRefused: the driver does not accept the setting.
	ErrRefused = errors.New("refused")
)

// Read returns the settings of an interface. An interface without RSS is no
// error: its Table is empty, and Instead says how it chooses queues. The error wraps ErrNoInterface
// where that is the cause.
func Read(name string) (Settings, error) {
	return read(system{}, name)
}

func read(k kernel, name string) (Settings, error) {
	s := Settings{Interface: name, Fields: map[FlowType]rss.Fields{}}
	for _, step := range []func(kernel, *Settings) error{readDriver, readChannels, readQueues, readRSS, readFields, readContexts} {
		if err := step(k, &s); err != nil {
			return Settings{}, fmt.Errorf("read rss of %s: %w", name, err)
		}
	}
	return s, nil
}

// refused tells whether an error means that the driver or the kernel does not support the request.
func refused(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
}

// absent turns ENODEV into ErrNoInterface.
func absent(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return ErrNoInterface
	}
	return err
}

// readDriver is the first step, because it fails only for an interface that does not exist.
func readDriver(k kernel, s *Settings) error {
	b := command(getDriver, driverLength)
	err := k.ioctl(s.Interface, b)
	if err != nil && !refused(err) {
		return absent(err)
	}
	if err == nil {
		s.Driver, s.Bus = decodeDriver(b)
	}
	return nil
}

func readChannels(k kernel, s *Settings) error {
	if answer, err := k.message(messageChannelsGet, header(s.Interface)); err == nil {
		c, err := parseChannels(answer)
		s.Channels = &c
		return err
	}
	b := command(getChannels, channelsLength)
	switch err := k.ioctl(s.Interface, b); {
	case err == nil:
		c := decodeChannels(b)
		s.Channels = &c
	case !refused(err):
		return fmt.Errorf("channels: %w", absent(err))
	}
	return nil
}

// readQueues reads the number of rings; a driver that does not report it has one for each channel that receives.
func readQueues(k kernel, s *Settings) error {
	b := encodeFields(getRings, 0, 0)
	err := k.ioctl(s.Interface, b)
	switch {
	case err == nil:
		s.Queues = int(decodeFields(b))
	case !refused(err):
		return fmt.Errorf("rings: %w", absent(err))
	case s.Channels != nil:
		s.Queues = s.Channels.Receive()
	}
	s.Queues = max(s.Queues, 1)
	return nil
}

// readRSS reads by netlink (Linux 6.3 and later), else by ioctl.
func readRSS(k kernel, s *Settings) error {
	if answer, err := k.message(messageRSSGet, header(s.Interface)); err == nil {
		s.By = byNetlink
		return parseRSS(answer, s)
	}
	b := command(getRSS, rssLength)
	err := k.ioctl(s.Interface, b)
	if refused(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("table: %w", absent(err))
	}
	entries, key := rssSizes(b)
	b = encodeRSS(getRSS, uint32(entries), make(rss.Table, entries), key, 0)
	if err := k.ioctl(s.Interface, b); err != nil {
		return fmt.Errorf("table: %w", absent(err))
	}
	s.By = byIoctl
	return decodeRSS(b, s)
}

// readFields reads the hash fields by ioctl where netlink did not have them (before Linux 6.17).
func readFields(k kernel, s *Settings) error {
	if !s.HasRSS() || len(s.Fields) > 0 {
		return nil
	}
	for _, t := range flowTypes() {
		b := encodeFields(getFields, t.ioctl, 0)
		err := k.ioctl(s.Interface, b)
		if err == nil {
			s.Fields[t.name] = rss.Fields(decodeFields(b))
		} else if !refused(err) {
			return fmt.Errorf("hash fields of %s: %w", t.name, absent(err))
		}
	}
	return nil
}

package netstate

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"

	"lbctl/rss/ethtool"
)

// ask sends a message to a family of generic netlink and returns the answer's attributes.
func ask(family string, command uint8, about *nl.RtAttr) (attributes, error) {
	answer, err := ethtool.Ask(family, command, about.Serialize())
	if err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, fmt.Errorf("netlink family %s: no answer", family)
	}
	return parse(answer)
}

// attributes are those of a message, in order.
type attributes []attribute

type attribute struct {
	kind  uint16
	value []byte
}

// parse reads attributes.
func parse(b []byte) (attributes, error) {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, fmt.Errorf("read attributes: %w", err)
	}
	var all attributes
	for _, a := range list {
		all = append(all, attribute{a.Attr.Type & nl.NLA_TYPE_MASK, a.Value})
	}
	return all, nil
}

// get returns an attribute's value, nil if it is not there.
func (all attributes) get(kind uint16) []byte {
	for _, a := range all {
		if a.kind == kind {
			return a.value
		}
	}
	return nil
}

// inner returns the attributes inside another one, none if it is not there or not well formed.
func (all attributes) inner(kind uint16) attributes {
	inside, _ := parse(all.get(kind))
	return inside
}

// number reads 4 or 8 bytes.
func (all attributes) number(kind uint16) (uint64, bool) {
	switch v := all.get(kind); len(v) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(v)), true
	case 8:
		return binary.NativeEndian.Uint64(v), true
	}
	return 0, false
}

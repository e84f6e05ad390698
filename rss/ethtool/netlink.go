package ethtool

import (
	"fmt"
	"slices"

	"lbctl/rss"
)

// The netlink family's messages and attributes that are used here.
const (
	messageChannelsGet = 17
	messageRSSGet      = 38
	messageRSSSet      = 48
	messageRSSCreate   = 49
	messageRSSDelete   = 50

	headerName = 2

	channelsHeader = 1 // then the four maxima, then the four counts, from 2 on

	rssHeader    = 1
	rssContext   = 2
	rssFunction  = 3
	rssTable     = 4
	rssKey       = 5
	rssTransform = 6
	rssFlowHash  = 8 // Linux 6.17 and later
)

// nested is NLA_F_NESTED; typeMask removes it (NLA_TYPE_MASK).
const (
	nested   = 0x8000
	typeMask = 0x3fff
)

// attributes are the values of a netlink message's attributes by type, not copied. The last one of a type counts.
type attributes map[uint16][]byte

// parseAttributes splits the bytes after a message's headers. Any bytes are allowed.
func parseAttributes(b []byte) (attributes, error) {
	all := attributes{}
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, fmt.Errorf("attribute of %d bytes: want at least 4", len(b))
		}
		length := int(native.Uint16(b))
		if length < 4 || length > len(b) {
			return nil, fmt.Errorf("attribute says it has %d bytes, there are %d", length, len(b))
		}
		all[native.Uint16(b[2:])&typeMask] = b[4:length]
		b = b[min(len(b), (length+3)&^3):]
	}
	return all, nil
}

// appendAttribute appends an attribute, padded to words.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(4+len(value)))
	b = native.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

// header is the attribute that names the interface in every request.
func header(name string) []byte {
	return appendAttribute(nil, rssHeader|nested, appendAttribute(nil, headerName, append([]byte(name), 0)))
}

// number returns an attribute of 4 or 8 bytes; 0 if there is none.
func (a attributes) number(kind uint16) uint64 {
	switch v := a[kind]; len(v) {
	case 4:
		return uint64(native.Uint32(v))
	case 8:
		return native.Uint64(v)
	}
	return 0
}

// parseChannels reads the answer to ETHTOOL_MSG_CHANNELS_GET, which leaves out kinds that the driver does not have.
func parseChannels(b []byte) (Channels, error) {
	a, err := parseAttributes(b)
	if err != nil {
		return Channels{}, fmt.Errorf("read channels: %w", err)
	}
	at := func(i uint16) int { return int(a.number(channelsHeader + 1 + i)) }
	return Channels{
		MaxRX: at(0), MaxTX: at(1), MaxOther: at(2), MaxCombined: at(3),
		RX: at(4), TX: at(5), Other: at(6), Combined: at(7),
	}, nil
}

// parseRSS reads the answer to ETHTOOL_MSG_RSS_GET.
func parseRSS(b []byte, s *Settings) error {
	a, err := parseAttributes(b)
	if err != nil {
		return fmt.Errorf("read rss: %w", err)
	}
	if s.Table, err = decodeTable(a[rssTable]); err != nil {
		return fmt.Errorf("read rss: %w", err)
	}
	s.Key = slices.Clone(rss.Key(a[rssKey]))
	s.setFunctions(a.number(rssFunction))
	s.Transform = rss.Transform(a.number(rssTransform))
	fields, err := parseAttributes(a[rssFlowHash])
	if err != nil {
		return fmt.Errorf("read hash fields: %w", err)
	}
	for _, t := range flowTypes() {
		if _, ok := fields[t.attribute]; ok {
			s.Fields[t.name] = rss.Fields(fields.number(t.attribute))
		}
	}
	return nil
}
